"""The `anthropic` SDK."""

import asyncio
import base64
import uuid

import anthropic
import pytest
from conftest import ASK_PARIS, ASK_ROME, KEY, ODD_TEXT, PNG, TIMEOUT_S, URL, anthropic_client, said, tools_said
from pydantic import BaseModel

MODEL = "claude-opus-4-7"
SONNET = "claude-sonnet-4-5"
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
    },
}
TIME = {
    "name": "get_time",
    "input_schema": {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
}
BUDGET = {"type": "enabled", "budget_tokens": 1024}


class Report(BaseModel):
    city: str
    days: list[int]


def user(content):
    return [{"role": "user", "content": content}]


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def counts(usage):
    return usage.input_tokens, usage.output_tokens


def test_create(mount):
    with anthropic_client(mount) as client:
        message = client.messages.create(model=MODEL, max_tokens=100, system="Be brief.", messages=user("Hello there"))
    assert (message.type, message.role, message.model) == ("message", "assistant", MODEL)
    assert text_of(message) == said(MODEL, "Hello there")
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0
    assert message._request_id


def test_headers(claude):
    raw = claude.messages.with_raw_response.create(
        model=MODEL, max_tokens=100, messages=user("Hi"), extra_headers={"x-request-id": "sdk-test.2"}
    )
    assert raw.headers["x-request-id"] == raw.headers["request-id"] == "sdk-test.2"
    assert raw.headers["x-torouter-channel"] == "anthropic-sim"
    assert raw.parse()._request_id == "sdk-test.2"


def test_auth_token():
    # `Authorization: Bearer` in place of `x-api-key`, as Claude Code sends it.
    client = anthropic.Anthropic(base_url=URL, auth_token=KEY, api_key=None, max_retries=0, timeout=TIMEOUT_S)
    with client:
        message = client.messages.create(model=MODEL, max_tokens=100, messages=user("Hi"))
    assert text_of(message) == said(MODEL, "Hi")


def test_stream(mount):
    with anthropic_client(mount) as client:
        whole = client.messages.create(model=MODEL, max_tokens=100, messages=user(ODD_TEXT))
        events = list(client.messages.create(model=MODEL, max_tokens=100, messages=user(ODD_TEXT), stream=True))
    assert events[0].type == "message_start" and events[-1].type == "message_stop"
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert len(deltas) > 3
    assert "".join(deltas) == text_of(whole) == said(MODEL, ODD_TEXT)
    (last,) = [event for event in events if event.type == "message_delta"]
    assert last.delta.stop_reason == "end_turn"
    assert (events[0].message.usage.input_tokens, last.usage.output_tokens) == counts(whole.usage)


def test_stream_helper(claude):
    with claude.messages.stream(model=MODEL, max_tokens=100, messages=user("Hello there")) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) > 3
    assert "".join(pieces) == text_of(final) == said(MODEL, "Hello there")
    whole = claude.messages.create(model=MODEL, max_tokens=100, messages=user("Hello there"))
    assert counts(final.usage) == counts(whole.usage)
    assert stream.request_id


def test_tool_use(claude):
    message = claude.messages.create(model=MODEL, max_tokens=100, messages=user(ASK_PARIS), tools=[WEATHER, TIME])
    assert message.stop_reason == "tool_use"
    (call,) = [block for block in message.content if block.type == "tool_use"]
    assert call.name == "get_weather" and call.id
    assert call.input == {"city": "Paris", "unit": "celsius"}
    named = claude.messages.create(
        model=MODEL,
        max_tokens=100,
        messages=user(ASK_PARIS),
        tools=[WEATHER, TIME],
        tool_choice={"type": "tool", "name": "get_time"},
    )
    assert [block.name for block in named.content] == ["get_time"]


def test_parallel_tools_streamed(claude):
    text = "Both in Paris"
    whole = claude.messages.create(model=MODEL, max_tokens=100, messages=user(text), tools=[WEATHER, TIME])
    with claude.messages.stream(model=MODEL, max_tokens=100, messages=user(text), tools=[WEATHER, TIME]) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        final = stream.get_final_message()
    assert len(pieces) > 3
    assert [(block.name, block.input) for block in final.content] == [
        (block.name, block.input) for block in whole.content
    ]
    assert [block.name for block in final.content] == ["get_weather", "get_time"]


@pytest.mark.parametrize("thinking", [None, BUDGET], ids=["plain", "thinking"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_tool_loop(claude, streamed, thinking):
    messages = user(ASK_PARIS)
    options = {"model": SONNET, "max_tokens": 4000, "tools": [WEATHER]}
    if thinking:
        options["thinking"] = thinking

    def turn():
        if not streamed:
            message = claude.messages.create(messages=messages, **options)
        else:
            with claude.messages.stream(messages=messages, **options) as stream:
                message = stream.get_final_message()
        kinds = [block.type for block in message.content]
        assert kinds[:-1] == (["thinking"] if thinking else [])
        if thinking:
            assert message.content[0].thinking and message.content[0].signature
        messages.append({"role": "assistant", "content": message.content})
        return message

    for city, degrees in [("Paris", "18 degrees"), ("Rome", "25 degrees"), ("Oslo", "7 degrees")]:
        call = turn().content[-1]
        assert (call.type, call.name, call.input["city"]) == ("tool_use", "get_weather", city)
        messages += user([{"type": "tool_result", "tool_use_id": call.id, "content": degrees}])
        assert text_of(turn()) == tools_said(SONNET, degrees)
        messages += user(ASK_ROME if city == "Paris" else "Or in Oslo?")


def test_thinking(claude):
    message = claude.messages.create(model=SONNET, max_tokens=2000, messages=user("Think"), thinking=BUDGET)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking and message.content[0].signature
    with claude.messages.stream(model=SONNET, max_tokens=2000, messages=user("Think"), thinking=BUDGET) as stream:
        pieces = [event.thinking for event in stream if event.type == "thinking"]
        final = stream.get_final_message()
    assert "".join(pieces) == final.content[0].thinking == message.content[0].thinking
    assert final.content[0].signature
    assert counts(final.usage) == counts(message.usage)
    adaptive = claude.messages.create(
        model=MODEL, max_tokens=2000, messages=user("Think"), thinking={"type": "adaptive"}
    )
    assert adaptive.content[0].type == "thinking"


@pytest.mark.parametrize("model", [MODEL, SONNET])
def test_thinking_suffix(claude, model):
    plain = claude.messages.create(model=model, max_tokens=4000, messages=user("Think"))
    raw = claude.messages.with_raw_response.create(model=f"{model}-thinking", max_tokens=4000, messages=user("Think"))
    assert raw.headers["x-torouter-model"] == model
    message = raw.parse()
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert text_of(message) == text_of(plain) == said(model, "Think")
    assert message.usage.output_tokens > plain.usage.output_tokens
    with claude.messages.stream(model=f"{model}-thinking", max_tokens=4000, messages=user("Think")) as stream:
        assert counts(stream.get_final_message().usage) == counts(message.usage)


def test_count_tokens(mount):
    with anthropic_client(mount) as client:
        counted = client.messages.count_tokens(
            model=MODEL, system="Be brief.", messages=user("Hello there"), tools=[WEATHER]
        )
        made = client.messages.create(
            model=MODEL, max_tokens=100, system="Be brief.", messages=user("Hello there"), tools=[WEATHER]
        )
    assert counted.input_tokens == made.usage.input_tokens > 0


def test_prompt_cache(claude):
    # New words, so that an earlier run has not cached them.
    system = [
        {"type": "text", "text": f"{uuid.uuid4()} " + "long words " * 2000, "cache_control": {"type": "ephemeral"}}
    ]
    usages = [
        claude.messages.create(model=MODEL, max_tokens=100, system=system, messages=user("Hi")).usage for _ in range(2)
    ]
    written = usages[0].cache_creation_input_tokens
    assert written > 1000 and usages[0].cache_read_input_tokens == 0
    assert usages[0].cache_creation.ephemeral_5m_input_tokens == written
    assert (usages[1].cache_creation_input_tokens, usages[1].cache_read_input_tokens) == (0, written)


def test_pictures_and_documents(claude):
    data = base64.b64encode(PNG).decode()
    content = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "A document."}},
        {"type": "text", "text": "What is this?"},
    ]
    plain = claude.messages.create(model=MODEL, max_tokens=100, messages=user("What is this?"))
    message = claude.messages.create(model=MODEL, max_tokens=100, messages=user(content))
    assert text_of(message) == said(MODEL, "What is this?")
    assert message.usage.input_tokens > plain.usage.input_tokens


def test_stops(claude):
    stopped = claude.messages.create(
        model=MODEL, max_tokens=100, messages=user("one two three"), stop_sequences=["two"]
    )
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "two")
    assert text_of(stopped) == said(MODEL, "one ")
    short = claude.messages.create(model=MODEL, max_tokens=2, messages=user("Hi"))
    assert (short.stop_reason, short.usage.output_tokens) == ("max_tokens", 2)
    refused = claude.messages.create(model=MODEL, max_tokens=100, messages=user("REFUSE this"))
    assert refused.stop_reason == "refusal"


def test_parse(claude):
    message = claude.messages.parse(model=MODEL, max_tokens=100, messages=user(ASK_PARIS), output_format=Report)
    assert message.parsed_output == Report(city="Paris", days=[1])


@pytest.mark.parametrize("options", [{}, {"thread": False}], ids=["thread", "history"])
def test_tool_runner(claude, options):
    # By default the SDK has the provider hold the conversation (`thread`, beta `message-threads-2026-08-12`).
    asked = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather in a city.

        Args:
            city: Its name.
        """
        asked.append(city)
        return "18 degrees"

    runner = claude.beta.messages.tool_runner(
        model=MODEL, max_tokens=100, messages=user(ASK_PARIS), tools=[get_weather], **options
    )
    assert text_of(runner.until_done()) == tools_said(MODEL, "18 degrees")
    assert asked == ["Paris"]


def test_beta_headers_and_fields(claude):
    message = claude.beta.messages.create(
        model=MODEL,
        max_tokens=100,
        messages=user("Hi"),
        betas=["context-management-2025-06-27"],
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
    )
    assert text_of(message) == said(MODEL, "Hi")


def test_models(mount):
    with anthropic_client(mount) as client:
        ids = [model.id for model in client.models.list()]
        paged = [model.id for model in client.models.list(limit=2)]
        one = client.models.retrieve(MODEL)
        with pytest.raises(anthropic.NotFoundError):
            client.models.retrieve("nobodys-model")
    assert {MODEL, SONNET, "claude-haiku-4-5"} <= set(ids)
    assert len(set(ids)) == len(ids)
    assert paged == ids
    assert (one.type, one.id) == ("model", MODEL) and one.display_name and one.created_at


def test_async(mount):
    async def run():
        async with anthropic_client(mount, cls=anthropic.AsyncAnthropic) as client:
            texts = [f"number {number}" for number in range(8)]
            messages = await asyncio.gather(
                *(client.messages.create(model=MODEL, max_tokens=100, messages=user(text)) for text in texts)
            )
            assert [text_of(message) for message in messages] == [said(MODEL, text) for text in texts]
            async with client.messages.stream(model=MODEL, max_tokens=100, messages=user("Hi")) as stream:
                pieces = [piece async for piece in stream.text_stream]
            assert "".join(pieces) == said(MODEL, "Hi")

    asyncio.run(run())


def test_wrong_key(mount):
    with anthropic_client(mount, key="sk-wrong") as client, pytest.raises(anthropic.AuthenticationError) as caught:
        client.messages.create(model=MODEL, max_tokens=100, messages=user("Hi"))
    assert caught.value.status_code == 401
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == "authentication_error"
    assert caught.value.request_id
    assert "sk-wrong" not in str(caught.value)


def test_unknown_model(claude):
    for model in ("nobodys-model", "claude-nobody"):
        with pytest.raises(anthropic.NotFoundError) as caught:
            claude.messages.create(model=model, max_tokens=100, messages=user("Hi"))
        assert caught.value.body["error"]["type"] == "not_found_error"
        assert caught.value.body["request_id"] == caught.value.request_id
        with pytest.raises(anthropic.NotFoundError), claude.messages.stream(
            model=model, max_tokens=100, messages=user("Hi")
        ) as stream:
            stream.get_final_message()
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.count_tokens(model="nobodys-model", messages=user("Hi"))


def test_bad_requests(claude):
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.messages.create(model=MODEL, max_tokens=100, messages=[])
    assert caught.value.body["error"]["type"] == "invalid_request_error"
    assert "at least one message" in caught.value.body["error"]["message"]
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.messages.create(model=SONNET, max_tokens=1024, messages=user("Hi"), thinking=BUDGET)
    assert "budget_tokens" in caught.value.message
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.messages.create(model="", max_tokens=100, messages=user("Hi"))
    assert "model" in caught.value.body["error"]["message"]
