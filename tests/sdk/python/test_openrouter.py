"""The `openai` SDK with `vendor/model` ids: an OpenRouter channel."""

import json

import pytest
from conftest import ASK_PARIS, openai_client, said, tools_said
from pydantic import BaseModel

MODEL = "anthropic/claude-opus-4.7"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Report(BaseModel):
    city: str


def user(text):
    return [{"role": "user", "content": text}]


def test_create(mount):
    with openai_client(mount) as client:
        raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=user("Hi"), max_tokens=100)
    assert raw.headers["x-torouter-channel"] == "openrouter-sim"
    assert raw.headers["x-torouter-model"] == MODEL
    answer = raw.parse()
    assert answer.choices[0].message.content == said(MODEL, "Hi")
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0
    # What OpenRouter adds arrives.
    assert answer.usage.cost > 0
    assert answer.provider


def test_stream(gpt):
    whole = gpt.chat.completions.create(model=MODEL, messages=user("Hello there"))
    chunks = list(
        gpt.chat.completions.create(
            model=MODEL, messages=user("Hello there"), stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content == said(MODEL, "Hello there")
    (usage,) = [chunk.usage for chunk in chunks if chunk.usage]
    assert usage.total_tokens == whole.usage.total_tokens > 0


@pytest.mark.parametrize("how", ["parameter", "suffix"])
def test_reasoning(gpt, how):
    options = (
        {"model": MODEL, "extra_body": {"reasoning": {"effort": "low"}}}
        if how == "parameter"
        else {"model": f"{MODEL}-thinking"}
    )
    answer = gpt.chat.completions.create(messages=user("Think"), **options)
    message = answer.choices[0].message
    assert message.content == said(MODEL, "Think")
    assert message.reasoning and message.reasoning_details[0]["signature"]
    assert answer.usage.completion_tokens_details.reasoning_tokens > 0
    chunks = list(gpt.chat.completions.create(messages=user("Think"), stream=True, **options))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(getattr(delta, "reasoning", None) or "" for delta in deltas) == message.reasoning
    assert "".join(delta.content or "" for delta in deltas) == message.content


def test_tool_loop_with_reasoning(gpt):
    messages = user(ASK_PARIS)
    options = {"model": MODEL, "tools": [WEATHER], "extra_body": {"reasoning": {"enabled": True}}}
    asked = gpt.chat.completions.create(messages=messages, **options).choices[0]
    assert asked.finish_reason == "tool_calls"
    (call,) = asked.message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    # Reasoning goes back as it came, signature and all.
    messages.append(asked.message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "18 degrees"})
    answer = gpt.chat.completions.create(messages=messages, **options).choices[0].message
    assert answer.content == tools_said(MODEL, "18 degrees")


def test_parse(gpt):
    answer = gpt.chat.completions.parse(model=MODEL, messages=user(ASK_PARIS), response_format=Report)
    assert answer.choices[0].message.parsed == Report(city="Paris")


def test_responses(gpt):
    raw = gpt.responses.with_raw_response.create(model=MODEL, input="Hi")
    assert raw.headers["x-torouter-channel"] == "openrouter-sim"
    whole = raw.parse()
    assert whole.output_text == said(MODEL, "Hi")
    events = list(gpt.responses.create(model=MODEL, input="Hi", stream=True))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.total_tokens == whole.usage.total_tokens > 0


def test_responses_with_thinking_suffix(gpt):
    answer = gpt.responses.create(model=f"{MODEL}-thinking", input="Think")
    assert answer.output_text == said(MODEL, "Think")
    assert answer.usage.output_tokens_details.reasoning_tokens > 0
