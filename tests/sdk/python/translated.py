"""What the tests of translation share: the demo's models by platform, and what the simulator counts and says.

The simulator answers and counts by the same rules whatever the dialect, so each expectation here is exact.
"""

import base64
import json
import time
from enum import Enum
from typing import Literal, Optional

import pytest
from conftest import PNG
from pydantic import BaseModel

# One or two models of each channel of `torouter demo`.
GPT = "gpt-5"
GPT_4O = "gpt-4o"
# Sonnet 4.5 thinks by a budget and wants its thinking back in a tool loop; Opus 4.7 thinks adaptively.
SONNET = "claude-sonnet-4-5"
OPUS = "claude-opus-4-7"
GEMINI = "gemini-2.5-flash"
# The third generation wants its signatures back.
GEMINI_3 = "gemini-3-flash-preview"
ROUTER = "anthropic/claude-opus-4.7"
# An openai-compatible server; the second always shows its reasoning.
COMPATIBLE = "deepseek-chat"
REASONER = "deepseek-reasoner"

CHANNELS = {
    GPT: "openai-sim",
    GPT_4O: "openai-sim",
    SONNET: "anthropic-sim",
    OPUS: "anthropic-sim",
    GEMINI: "gemini-sim",
    GEMINI_3: "gemini-sim",
    ROUTER: "openrouter-sim",
    COMPATIBLE: "compatible-sim",
    REASONER: "compatible-sim",
}
# A model of each platform; Gemini's third generation has rules of its own.
PLATFORM_MODELS = {
    "openai": GPT,
    "anthropic": SONNET,
    "gemini": GEMINI,
    "gemini-3": GEMINI_3,
    "openrouter": ROUTER,
    "compatible": COMPATIBLE,
}

# Question, the only word of more than three letters in it (the simulator makes arguments of it), the tool's result.
TURNS = [("In Paris?", "Paris", "18 degrees"), ("So in Rome?", "Rome", "25 degrees"), ("Or in Oslo?", "Oslo", "7 degrees")]
# Asks the simulator for the first two tools at once.
ASK_BOTH = "Both in Paris"
# Its words of more than three letters are "Both" and "Paris"; which one a property gets depends on its name.
BOTH_ARGUMENTS = [("get_weather", {"city": "Paris", "unit": "celsius"}), ("get_time", {"zone": "Both"})]

WEATHER_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
}
TIME_SCHEMA = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}

PNG_BASE64 = base64.b64encode(PNG).decode()
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF\n"
)
PDF_BASE64 = base64.b64encode(PDF).decode()
# What the simulator counts for a picture or a file, whatever its size.
MEDIA_TOKENS = 85
REFUSED = "I'm sorry, but I can't help with that request."


class Unit(str, Enum):
    celsius = "celsius"
    fahrenheit = "fahrenheit"


class Place(BaseModel):
    name: str
    population: int


class Report(BaseModel):
    """Much of what schemas are made of: a constant, an enum, a reference, a list, an optional member."""

    kind: Literal["report"]
    city: str
    unit: Unit
    places: list[Place]
    sunny: bool
    note: Optional[str]


# What the simulator makes of the schema and the question "In Paris?".
REPORT = Report(
    kind="report",
    city="Paris",
    unit=Unit.celsius,
    places=[Place(name="Paris", population=1)],
    sunny=True,
    note="Paris",
)


def user(content):
    return [{"role": "user", "content": content}]


def tokens(text):
    """What the simulator counts for a text."""
    return max(1, -(-len(text) // 4))


def thought(model, text):
    """What a simulated model thinks of a text."""
    return f"The user wrote {len(text.split())} words to {model}. I will answer in one go."


def recalled(model, said, answers=0, results=0):
    """What a simulated model answers to a text that begins with `RECALL`: what was said before it, so far as it was sent."""
    before = " | ".join(said) or "nothing"
    return f"Hello from {model}. Before this you said: {before}. Answers: {answers}. Tool results: {results}."


def is_recent(seconds):
    return abs(time.time() - seconds) < 3600


def dropped(headers):
    """The parameters that the gateway says it left out."""
    found = {name.lower(): value for name, value in headers.items()}.get("x-torouter-dropped", "")
    return [name for name in found.split(",") if name]


def compact(value):
    return json.dumps(value, separators=(",", ":"))


# A model of each platform in turn, for what each must do in the same way.
each_platform = pytest.mark.parametrize("model", PLATFORM_MODELS.values(), ids=PLATFORM_MODELS)


def ids(model):
    """A model's name as a test's."""
    return str(model).replace("/", "-")
