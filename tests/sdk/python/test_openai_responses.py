"""The `openai` SDK: Responses."""

import asyncio
import base64
import json
import time

import openai
import pytest
from conftest import ASK_PARIS, ASK_ROME, ODD_TEXT, PNG, openai_client, said, tools_said
from pydantic import BaseModel

MODEL = "gpt-5"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class Report(BaseModel):
    city: str
    days: list[int]


def counts(usage):
    return usage.input_tokens, usage.output_tokens, usage.total_tokens


def test_create(mount):
    with openai_client(mount) as client:
        answer = client.responses.create(model=MODEL, instructions="Be brief.", input="Hello there")
    assert answer.object == "response" and answer.status == "completed"
    assert answer.output_text == said(MODEL, "Hello there")
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert answer._request_id


def test_stream(mount):
    with openai_client(mount) as client:
        whole = client.responses.create(model=MODEL, input=ODD_TEXT)
        events = list(client.responses.create(model=MODEL, input=ODD_TEXT, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) > 3
    assert "".join(deltas) == events[-1].response.output_text == whole.output_text == said(MODEL, ODD_TEXT)
    assert counts(events[-1].response.usage) == counts(whole.usage)


def test_stream_helper(gpt):
    with gpt.responses.stream(model=MODEL, input="Hello there") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == final.output_text == said(MODEL, "Hello there")
    assert final.usage.output_tokens > 0


def test_stored_response(mount):
    with openai_client(mount) as client:
        made = client.responses.create(
            model=MODEL,
            input=[{"role": "user", "content": "first"}, {"role": "user", "content": "second"}],
            metadata={"test": "stored"},
        )
        read = client.responses.retrieve(made.id)
        assert read.id == made.id and read.output_text == made.output_text == said(MODEL, "second")
        assert read.metadata == {"test": "stored"}
        assert counts(read.usage) == counts(made.usage)
        items = list(client.responses.input_items.list(made.id))
        assert sorted(item.content[0].text for item in items) == ["first", "second"]
        with pytest.raises(openai.BadRequestError):
            client.responses.cancel(made.id)
        client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(made.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.delete(made.id)


def test_previous_response(gpt):
    first = gpt.responses.create(model=MODEL, input="My name is Ada")
    second = gpt.responses.create(model=MODEL, input="And now?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.output_text == said(MODEL, "And now?")
    # The earlier turns are part of the prompt.
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens - 1
    with pytest.raises(openai.NotFoundError) as caught:
        gpt.responses.create(model=MODEL, input="Hi", previous_response_id="resp_nobody")
    assert caught.value.code == "previous_response_not_found"


def test_background(gpt):
    made = gpt.responses.create(model=MODEL, input="Take your time", background=True)
    assert made.status in ("queued", "in_progress")
    end = time.monotonic() + 20
    while made.status in ("queued", "in_progress") and time.monotonic() < end:
        time.sleep(0.1)
        made = gpt.responses.retrieve(made.id)
    assert made.status == "completed"
    assert made.output_text == said(MODEL, "Take your time")


def test_background_cancelled(gpt):
    # The simulator is done after 300 ms: on a busy machine the first try may come too late.
    for _ in range(5):
        made = gpt.responses.create(model=MODEL, input="Take your time", background=True)
        cancelled = gpt.responses.cancel(made.id)
        assert cancelled.id == made.id
        if cancelled.status != "completed":
            break
    assert cancelled.status == "cancelled"
    assert cancelled.output == []
    assert gpt.responses.retrieve(made.id).status == "cancelled"


def test_tool_loop_by_previous_response(gpt):
    answer, asked = None, ASK_PARIS
    for city, degrees in [("Paris", "18 degrees"), ("Rome", "25 degrees"), ("Oslo", "7 degrees")]:
        before = {"previous_response_id": answer.id} if answer else {}
        answer = gpt.responses.create(model=MODEL, input=asked, tools=[WEATHER], **before)
        (call,) = answer.output
        assert (call.type, call.name) == ("function_call", "get_weather")
        assert json.loads(call.arguments) == {"city": city}
        answer = gpt.responses.create(
            model=MODEL,
            input=[{"type": "function_call_output", "call_id": call.call_id, "output": degrees}],
            tools=[WEATHER],
            previous_response_id=answer.id,
        )
        assert answer.output_text == tools_said(MODEL, degrees)
        asked = ASK_ROME if city == "Paris" else "Or in Oslo?"


def test_stateless_tool_loop_with_reasoning_streamed(gpt):
    items = [{"role": "user", "content": ASK_PARIS}]
    options = {
        "model": MODEL,
        "tools": [WEATHER],
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low", "summary": "auto"},
    }
    with gpt.responses.stream(input=items, **options) as stream:
        events = list(stream)
        first = stream.get_final_response()
    thought, call = first.output
    assert thought.type == "reasoning" and thought.encrypted_content and thought.summary[0].text
    summary = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
    assert "".join(summary) == thought.summary[0].text
    arguments = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert len(arguments) > 1 and "".join(arguments) == call.arguments
    assert json.loads(call.arguments) == {"city": "Paris"}
    items += [
        {
            "type": "reasoning",
            "id": thought.id,
            "summary": [{"type": "summary_text", "text": thought.summary[0].text}],
            "encrypted_content": thought.encrypted_content,
        },
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"},
    ]
    second = gpt.responses.create(input=items, **options)
    assert second.output_text == tools_said(MODEL, "18 degrees")
    with pytest.raises(openai.NotFoundError):
        gpt.responses.retrieve(second.id)


def test_parse(gpt):
    answer = gpt.responses.parse(model=MODEL, input=ASK_PARIS, text_format=Report)
    assert answer.output_parsed == Report(city="Paris", days=[1])
    with gpt.responses.stream(model=MODEL, input=ASK_PARIS, text_format=Report) as stream:
        assert stream.get_final_response().output_parsed == answer.output_parsed


def test_refusal(gpt):
    answer = gpt.responses.create(model=MODEL, input="REFUSE this")
    part = answer.output[0].content[0]
    assert part.type == "refusal" and part.refusal.startswith("I'm sorry")


def test_picture(gpt):
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    content = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": url, "detail": "auto"}]
    answer = gpt.responses.create(model=MODEL, input=[{"role": "user", "content": content}])
    assert answer.output_text == said(MODEL, "What is this?")
    assert answer.usage.input_tokens > 80


def test_limit(gpt):
    answer = gpt.responses.create(model=MODEL, input="many words " * 20, max_output_tokens=16)
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert answer.usage.output_tokens == 16


def test_reasoning(gpt):
    def reasoning(**options):
        answer = gpt.responses.create(input="Think", **options)
        assert answer.output_text == said(MODEL, "Think")
        return answer.usage.output_tokens_details.reasoning_tokens

    assert reasoning(model=MODEL) == 0
    assert reasoning(model=MODEL, reasoning={"effort": "high"}) > 0
    assert reasoning(model=f"{MODEL}-thinking") > 0


def test_input_tokens_and_compact(gpt):
    counted = gpt.responses.input_tokens.count(model=MODEL, input="Count these words")
    made = gpt.responses.create(model=MODEL, input="Count these words")
    assert counted.input_tokens == made.usage.input_tokens > 0
    folded = gpt.responses.compact(model=MODEL, input="Remember this")
    assert folded.object == "response.compaction"
    assert folded.output[-1].type == "compaction" and folded.output[-1].encrypted_content
    assert folded.usage.input_tokens > 0


def test_async():
    async def run():
        async with openai_client(cls=openai.AsyncOpenAI) as client:
            texts = [f"number {number}" for number in range(8)]
            answers = await asyncio.gather(*(client.responses.create(model=MODEL, input=text) for text in texts))
            assert [answer.output_text for answer in answers] == [said(MODEL, text) for text in texts]
            async with client.responses.stream(model=MODEL, input="Hi") as stream:
                deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
                final = await stream.get_final_response()
            assert "".join(deltas) == final.output_text == said(MODEL, "Hi")

    asyncio.run(run())


def test_errors(gpt):
    with openai_client(key="sk-wrong") as client, pytest.raises(openai.AuthenticationError) as caught:
        client.responses.create(model=MODEL, input="Hi")
    assert caught.value.code == "INVALID_API_KEY"
    with pytest.raises(openai.NotFoundError) as caught:
        gpt.responses.create(model="nobodys-model", input="Hi")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        gpt.responses.retrieve("resp_nobody")
    with pytest.raises(openai.BadRequestError) as caught:
        gpt.responses.create(model=MODEL, input="Hi", max_output_tokens=1)
    assert caught.value.param == "max_output_tokens"
    with pytest.raises(openai.BadRequestError) as caught:
        gpt.responses.create(model=MODEL)
    assert caught.value.param == "input"
