"""What each SDK makes of a provider's failures, and of failing over to another vendor, on every surface and platform."""

import itertools

import anthropic
import openai
import pytest
from conftest import said, tools_said
from google.genai import errors, types
from stand import PLATFORMS, Stand
from translated import GEMINI_3, SONNET, WEATHER_SCHEMA, user

SURFACES = ["openai", "anthropic", "gemini"]
WAYS = ["whole", "streamed"]
RETRY_S = "7"
# Faults of a channel, as the simulator's steering header says them.
FAULTS = {
    "limited": f"429;retry-after={RETRY_S}",
    "down": "500",
    "locked": "401",
    "malformed": "400",
    "unknown": "404",
    "large": "413",
}
CASES = list(itertools.product(SURFACES, PLATFORMS, WAYS))
# Faults of one channel, before any output; the next one is well.
PASSING = ["429", "529", "401", "error-first", "error-late", "garbage", "close"]
TEXT = "Hello there, how is it going?"

each_case = pytest.mark.parametrize("surface, platform, way", CASES)


def key(*words):
    """A model of its own for each case: a channel that has failed is away for a while."""
    return "-".join(words)


def overload(platform):
    """529 is Anthropic's own."""
    return 529 if platform == "anthropic" else 503


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    stand = Stand(tmp_path_factory.mktemp("stand"))
    for surface, platform, way in CASES:
        for name, fault in FAULTS.items():
            stand.model(key(name, surface, platform, way), (platform, fault))
        stand.model(key("overloaded", surface, platform, way), (platform, str(overload(platform))))
        if way == "streamed":
            stand.model(key("cut", surface, platform), (platform, "cut=7"))
    for surface, fault, way in itertools.product(SURFACES, PASSING, WAYS):
        stand.model(key("plan", surface, fault, way), ("anthropic", fault), ("gemini", ""))
        stand.model(key("back", surface, fault, way), ("gemini", fault), ("anthropic", ""))
    for surface, way in itertools.product(SURFACES, WAYS):
        stand.model(key("first", surface, way), ("anthropic", ""))
        stand.model(key("moved", surface, way), ("anthropic", "503"), ("gemini", ""))
    try:
        stand.start()
        yield stand
    finally:
        stand.stop()


def ask(stand, surface, way, model):
    """The text of an answer, as the surface's SDK gives it, and its headers."""
    streamed = way == "streamed"
    if surface == "openai":
        raw = stand.openai.chat.completions.with_raw_response.create(model=model, messages=user(TEXT), stream=streamed)
        answer = raw.parse()
        if streamed:
            return "".join(c.choices[0].delta.content or "" for c in answer if c.choices), raw.headers
        return answer.choices[0].message.content, raw.headers
    if surface == "anthropic":
        raw = stand.anthropic.messages.with_raw_response.create(
            model=model, max_tokens=100, messages=user(TEXT), stream=streamed
        )
        answer = raw.parse()
        if streamed:
            return "".join(e.delta.text for e in answer if e.type == "content_block_delta"), raw.headers
        return answer.content[0].text, raw.headers
    if streamed:
        chunks = list(stand.google.models.generate_content_stream(model=model, contents=TEXT))
        pieces = [part.text or "" for c in chunks for part in c.candidates[0].content.parts or []]
        return "".join(pieces), chunks[0].sdk_http_response.headers
    answer = stand.google.models.generate_content(model=model, contents=TEXT)
    return answer.text, answer.sdk_http_response.headers


def fails(stand, surface, way, model):
    """The status, the message and the SDK's error of a request that fails."""
    with pytest.raises((openai.APIError, anthropic.APIError, errors.APIError)) as caught:
        ask(stand, surface, way, model)
    error = caught.value
    return error.code if surface == "gemini" else error.status_code, str(error.message), error


@each_case
def test_a_rate_limit_is_one_on_every_surface(stand, surface, platform, way):
    status, message, error = fails(stand, surface, way, key("limited", surface, platform, way))
    assert status == 429
    # The provider's own words, and how long it wants to be left alone.
    assert "Rate limit reached" in message
    assert error.response.headers["retry-after"] == RETRY_S
    if surface == "openai":
        assert isinstance(error, openai.RateLimitError)
    elif surface == "anthropic":
        assert isinstance(error, anthropic.RateLimitError)
        assert error.body["error"]["type"] == "rate_limit_error"
    else:
        assert isinstance(error, errors.ClientError) and error.status == "RESOURCE_EXHAUSTED"


@each_case
def test_an_overload_is_one_on_every_surface(stand, surface, platform, way):
    status, message, error = fails(stand, surface, way, key("overloaded", surface, platform, way))
    assert status == (529 if surface == platform == "anthropic" else 503)
    assert "overloaded" in message.lower()
    if surface == "openai":
        assert isinstance(error, openai.InternalServerError)
    elif surface == "anthropic":
        assert isinstance(error, anthropic.OverloadedError if status == 529 else anthropic.ServiceUnavailableError)
    else:
        assert isinstance(error, errors.ServerError) and error.status == "UNAVAILABLE"


@each_case
@pytest.mark.parametrize("fault", ["down", "locked"])
def test_the_operators_troubles_are_no_fault_of_the_client(stand, surface, platform, way, fault):
    status, _, error = fails(stand, surface, way, key(fault, surface, platform, way))
    assert status == 502
    assert isinstance(error, (openai.InternalServerError, anthropic.InternalServerError, errors.ServerError))
    assert "sim-key" not in str(error)


@each_case
@pytest.mark.parametrize(
    "fault, status, words",
    [
        ("malformed", 400, "The request was malformed"),
        ("unknown", 404, "was not found"),
        ("large", 413, "maximum allowed number of bytes"),
    ],
)
def test_faults_of_the_client_keep_their_status_and_the_providers_words(
    stand, surface, platform, way, fault, status, words
):
    got, message, error = fails(stand, surface, way, key(fault, surface, platform, way))
    assert got == status and words in message
    kinds = {
        ("openai", 400): openai.BadRequestError,
        ("openai", 404): openai.NotFoundError,
        ("openai", 413): openai.APIStatusError,
        ("anthropic", 400): anthropic.BadRequestError,
        ("anthropic", 404): anthropic.NotFoundError,
        ("anthropic", 413): anthropic.ContentTooLargeError,
    }
    assert isinstance(error, kinds.get((surface, status), errors.ClientError))
    # It is not the channel's fault: the channel is there for the next request.
    assert fails(stand, surface, way, key(fault, surface, platform, way))[0] == status


@pytest.mark.parametrize("surface, platform", list(itertools.product(SURFACES, PLATFORMS)))
def test_a_stream_that_dies_ends_in_an_error_after_what_was_said(stand, surface, platform):
    model = key("cut", surface, platform)
    heard, raised = [], None
    try:
        if surface == "openai":
            for chunk in stand.openai.chat.completions.create(model=model, messages=user(TEXT), stream=True):
                heard += [choice.delta.content or "" for choice in chunk.choices]
        elif surface == "anthropic":
            for event in stand.anthropic.messages.create(
                model=model, max_tokens=100, messages=user(TEXT), stream=True
            ):
                heard += [event.delta.text] if event.type == "content_block_delta" else []
        else:
            for chunk in stand.google.models.generate_content_stream(model=model, contents=TEXT):
                heard += [part.text or "" for part in chunk.candidates[0].content.parts or []]
    except (openai.APIError, anthropic.APIError, errors.APIError) as error:
        raised = error
    assert raised is not None
    # A dropped connection would say nothing.
    assert not isinstance(raised, (openai.APIConnectionError, anthropic.APIConnectionError))
    text = "".join(heard)
    assert text.startswith("Hello from") and said(PLATFORMS[platform], TEXT).startswith(text)


@pytest.mark.parametrize("surface, fault, way", list(itertools.product(SURFACES, PASSING, WAYS)))
@pytest.mark.parametrize("plan", ["plan", "back"])
def test_a_failing_channel_is_not_noticed_when_another_vendors_is_well(stand, surface, fault, way, plan):
    model = key(plan, surface, fault, way)
    text, headers = ask(stand, surface, way, model)
    headers = {name.lower(): value for name, value in headers.items()}
    assert text == said(GEMINI_3 if plan == "plan" else SONNET, TEXT)
    assert (headers["x-torouter-channel"], headers["x-torouter-attempts"]) == (f"{model}-1", "2")


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_loop_with_thinking_survives_its_channel_on_openai(stand, way):
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER_SCHEMA}}
    messages = user("In Paris?")

    def turn(name):
        options = {"model": key(name, "openai", way), "messages": messages, "tools": [tool], "reasoning_effort": "low"}
        if way == "whole":
            return stand.openai.chat.completions.create(**options).choices[0].message
        with stand.openai.chat.completions.stream(**options) as stream:
            return stream.get_final_completion().choices[0].message

    asked = turn("first")
    assert asked.reasoning_content
    messages.append(asked.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "18 degrees"})
    assert turn("moved").content == tools_said(GEMINI_3, "18 degrees")


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_loop_with_thinking_survives_its_channel_on_anthropic(stand, way):
    tool = {"name": "get_weather", "input_schema": WEATHER_SCHEMA}
    messages = user("In Paris?")

    def turn(name):
        options = {"model": key(name, "anthropic", way), "messages": messages, "tools": [tool], "max_tokens": 4000}
        options["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        if way == "whole":
            return stand.anthropic.messages.create(**options).content
        with stand.anthropic.messages.stream(**options) as stream:
            return stream.get_final_message().content

    asked = turn("first")
    assert asked[0].type == "thinking" and asked[0].signature
    messages.append({"role": "assistant", "content": asked})
    messages += user([{"type": "tool_result", "tool_use_id": asked[-1].id, "content": "18 degrees"}])
    assert turn("moved")[-1].text == tools_said(GEMINI_3, "18 degrees")


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_loop_with_thinking_survives_its_channel_on_gemini(stand, way):
    function = types.FunctionDeclaration(name="get_weather", parameters_json_schema=WEATHER_SCHEMA)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[function])],
        thinking_config=types.ThinkingConfig(thinking_budget=2048, include_thoughts=True),
    )
    contents = [types.UserContent("In Paris?")]

    def turn(name):
        options = {"model": key(name, "gemini", way), "contents": contents, "config": config}
        if way == "whole":
            return stand.google.models.generate_content(**options).candidates[0].content.parts
        chunks = list(stand.google.models.generate_content_stream(**options))
        parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or []]
        return [part for part in parts if part.text or part.function_call or part.thought_signature]

    asked = turn("first")
    assert asked[0].thought
    (call,) = [part.function_call for part in asked if part.function_call]
    contents.append(types.ModelContent(asked))
    response = types.Part.from_function_response(name=call.name, response={"result": "18 degrees"})
    response.function_response.id = call.id
    contents.append(types.UserContent(response))
    text = "".join(part.text for part in turn("moved") if part.text and not part.thought)
    assert text == tools_said(GEMINI_3, "18 degrees")
