"""What the tests share: where the demo listens, the clients, a picture, the metrics."""

import base64
import os
import re
import urllib.error
import urllib.request

import anthropic
import openai
import pytest
from google import genai

KEY = "sk-demo"
URL = os.environ.get("TOROUTER_URL", "").rstrip("/")
ADMIN_URL = os.environ.get("TOROUTER_ADMIN_URL", "").rstrip("/")
TIMEOUT_S = 30

# One white pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4//8/AAX+Av4zEpUUAAAAAElFTkSuQmCC"
)

# The only word of more than three letters is the one that the simulator puts into a tool's arguments.
ASK_PARIS = "In Paris?"
ASK_ROME = "So in Rome?"
ODD_TEXT = "Grüße \U0001f980 \"quoted\" \\ line\nnext"


def pytest_configure():
    if not URL or not ADMIN_URL:
        raise pytest.UsageError("TOROUTER_URL and TOROUTER_ADMIN_URL are not set: run tests/sdk/run.sh")


def said(model, text):
    """What a simulated model answers to a text."""
    return f"Hello from {model}. You said: {text}"


def tools_said(model, text):
    """What a simulated model answers to the results of tools."""
    return f"Hello from {model}. The tools answered: {text}"


def openai_client(mount="", key=KEY, cls=openai.OpenAI):
    return cls(base_url=f"{URL}{mount}/v1", api_key=key, max_retries=0, timeout=TIMEOUT_S)


def anthropic_client(mount="", key=KEY, cls=anthropic.Anthropic):
    return cls(base_url=f"{URL}{mount}", api_key=key, max_retries=0, timeout=TIMEOUT_S)


def google_client(mount="", key=KEY, version=None):
    options = {"base_url": f"{URL}{mount}", "timeout": TIMEOUT_S * 1000}
    if version:
        options["api_version"] = version
    return genai.Client(api_key=key, vertexai=False, http_options=options)


def fetch(url, headers=None, data=None):
    """Status, headers and text of a plain request, for what no SDK does."""
    request = urllib.request.Request(url, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def samples(name):
    """A metric's samples: [(labels, value)]."""
    _, _, text = fetch(f"{ADMIN_URL}/metrics")
    out = []
    for line in text.splitlines():
        found = re.fullmatch(re.escape(name) + r"\{(.*)\} (\S+)", line)
        if found:
            out.append((dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[1])), float(found[2])))
    return out


@pytest.fixture(params=["", "/api"], ids=["root", "api"])
def mount(request):
    return request.param


@pytest.fixture(scope="session")
def gpt():
    with openai_client() as client:
        yield client


@pytest.fixture(scope="session")
def claude():
    with anthropic_client() as client:
        yield client


@pytest.fixture(scope="session")
def gemini():
    client = google_client()
    yield client
    client.close()
