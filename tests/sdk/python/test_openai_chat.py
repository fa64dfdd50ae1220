"""The `openai` SDK: Chat Completions."""

import asyncio
import base64
import json
from enum import Enum

import openai
import pytest
from conftest import ASK_PARIS, ASK_ROME, ODD_TEXT, PNG, openai_client, said, tools_said
from pydantic import BaseModel

MODEL = "gpt-5"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
TIME = {
    "type": "function",
    "function": {
        "name": "get_time",
        "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
    },
}


class Unit(str, Enum):
    celsius = "celsius"
    fahrenheit = "fahrenheit"


class Place(BaseModel):
    name: str
    population: int


class Report(BaseModel):
    city: str
    unit: Unit
    places: list[Place]
    sunny: bool


def user(text):
    return [{"role": "user", "content": text}]


def counts(usage):
    return usage.prompt_tokens, usage.completion_tokens, usage.total_tokens


def test_create(mount):
    with openai_client(mount) as client:
        answer = client.chat.completions.create(
            model=MODEL, messages=[{"role": "developer", "content": "Be brief."}, *user("Hello there")]
        )
    assert answer.object == "chat.completion"
    assert answer.model == MODEL
    (choice,) = answer.choices
    assert choice.finish_reason == "stop"
    assert choice.message.role == "assistant"
    assert choice.message.content == said(MODEL, "Hello there")
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id


def test_headers(gpt):
    raw = gpt.chat.completions.with_raw_response.create(
        model=MODEL, messages=user("Hi"), extra_headers={"x-request-id": "sdk-test.1"}
    )
    assert raw.headers["x-request-id"] == "sdk-test.1"
    assert raw.headers["x-torouter-channel"] == "openai-sim"
    assert raw.headers["x-torouter-model"] == MODEL
    assert raw.headers["x-torouter-attempts"] == "1"
    assert raw.headers["server-timing"].startswith("gateway;dur=")
    assert raw.parse()._request_id == "sdk-test.1"


def test_odd_text_comes_back_as_it_was(gpt):
    answer = gpt.chat.completions.create(model=MODEL, messages=user(ODD_TEXT))
    assert answer.choices[0].message.content == said(MODEL, ODD_TEXT)


def test_stream(mount):
    with openai_client(mount) as client:
        whole = client.chat.completions.create(model=MODEL, messages=user("Count to three"))
        stream = client.chat.completions.create(
            model=MODEL, messages=user("Count to three"), stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
    deltas = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(deltas) > 3
    assert "".join(deltas) == whole.choices[0].message.content == said(MODEL, "Count to three")
    assert len({chunk.id for chunk in chunks}) == 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert chunks[-1].choices == []
    assert counts(chunks[-1].usage) == counts(whole.usage)
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_stream_without_usage_gets_none(gpt):
    chunks = list(gpt.chat.completions.create(model=MODEL, messages=user("Hi"), stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == said(MODEL, "Hi")


def test_stream_helper(gpt):
    text = ODD_TEXT
    with gpt.chat.completions.stream(
        model=MODEL, messages=user(text), stream_options={"include_usage": True}
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(deltas) == final.choices[0].message.content == said(MODEL, text)
    assert final.usage.completion_tokens > 0


def test_a_stream_can_be_left(gpt):
    with gpt.chat.completions.create(model=MODEL, messages=user("many words " * 50), stream=True) as stream:
        assert next(iter(stream)).choices
    assert gpt.chat.completions.create(model=MODEL, messages=user("Hi")).choices[0].message.content


def test_tool_call(gpt):
    answer = gpt.chat.completions.create(model=MODEL, messages=user(ASK_PARIS), tools=[WEATHER, TIME])
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    (call,) = choice.message.tool_calls
    assert call.type == "function" and call.id
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris", "unit": "celsius"}


def test_tool_choice(gpt):
    named = gpt.chat.completions.create(
        model=MODEL,
        messages=user(ASK_PARIS),
        tools=[WEATHER, TIME],
        tool_choice={"type": "function", "function": {"name": "get_time"}},
    )
    assert [call.function.name for call in named.choices[0].message.tool_calls] == ["get_time"]
    none = gpt.chat.completions.create(model=MODEL, messages=user(ASK_PARIS), tools=[WEATHER], tool_choice="none")
    assert none.choices[0].message.tool_calls is None
    assert none.choices[0].message.content == said(MODEL, ASK_PARIS)


def test_parallel_tool_calls_streamed(gpt):
    text = "Both in Paris"
    whole = gpt.chat.completions.create(model=MODEL, messages=user(text), tools=[WEATHER, TIME])
    with gpt.chat.completions.stream(model=MODEL, messages=user(text), tools=[WEATHER, TIME]) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls"
    calls = [(call.function.name, json.loads(call.function.arguments)) for call in final.message.tool_calls]
    assert calls == [(c.function.name, json.loads(c.function.arguments)) for c in whole.choices[0].message.tool_calls]
    assert [name for name, _ in calls] == ["get_weather", "get_time"]
    assert [event.name for event in done] == ["get_weather", "get_time"]
    assert len({call.id for call in final.message.tool_calls}) == 2
    one = gpt.chat.completions.create(
        model=MODEL, messages=user(text), tools=[WEATHER, TIME], parallel_tool_calls=False
    )
    assert len(one.choices[0].message.tool_calls) == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_tool_loop(gpt, streamed):
    messages = user(ASK_PARIS)

    def turn():
        if not streamed:
            return gpt.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER]).choices[0].message
        with gpt.chat.completions.stream(model=MODEL, messages=messages, tools=[WEATHER]) as stream:
            return stream.get_final_completion().choices[0].message

    for city, degrees in [("Paris", "18 degrees"), ("Rome", "25 degrees"), ("Oslo", "7 degrees")]:
        asked = turn()
        (call,) = asked.tool_calls
        assert json.loads(call.function.arguments)["city"] == city
        messages.append(
            {
                "role": "assistant",
                "content": asked.content,
                "tool_calls": [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.function.name, "arguments": call.function.arguments},
                    }
                ],
            }
        )
        messages.append({"role": "tool", "tool_call_id": call.id, "content": degrees})
        answer = turn()
        assert answer.tool_calls is None
        assert answer.content == tools_said(MODEL, degrees)
        messages.append({"role": "assistant", "content": answer.content})
        messages += user(ASK_ROME if city == "Paris" else "Or in Oslo?")


def test_custom_tool(gpt):
    answer = gpt.chat.completions.create(
        model=MODEL, messages=user("print(1)"), tools=[{"type": "custom", "custom": {"name": "run_code"}}]
    )
    (call,) = answer.choices[0].message.tool_calls
    assert call.type == "custom"
    assert (call.custom.name, call.custom.input) == ("run_code", "print(1)")


def test_parse(gpt):
    answer = gpt.chat.completions.parse(model=MODEL, messages=user(ASK_PARIS), response_format=Report)
    parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, Report)
    assert parsed.city == "Paris" and parsed.unit is Unit.celsius and parsed.sunny is True
    assert parsed.places and parsed.places[0].name == "Paris"
    with gpt.chat.completions.stream(model=MODEL, messages=user(ASK_PARIS), response_format=Report) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == parsed


def test_parse_of_tools(gpt):
    tool = openai.pydantic_function_tool(Place, name="remember")
    answer = gpt.chat.completions.parse(model=MODEL, messages=user(ASK_PARIS), tools=[tool])
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.parsed_arguments == Place(name="Paris", population=1)


def test_json_mode(gpt):
    answer = gpt.chat.completions.create(
        model=MODEL, messages=user(ASK_PARIS), response_format={"type": "json_object"}
    )
    assert json.loads(answer.choices[0].message.content) == {"answer": "Paris"}


def test_refusal(gpt):
    answer = gpt.chat.completions.parse(model=MODEL, messages=user("REFUSE this"), response_format=Report)
    message = answer.choices[0].message
    assert message.parsed is None
    assert message.refusal.startswith("I'm sorry")
    with gpt.chat.completions.stream(model=MODEL, messages=user("REFUSE this")) as stream:
        assert stream.get_final_completion().choices[0].message.refusal == message.refusal


def test_picture_in_a_message(gpt):
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    plain = gpt.chat.completions.create(model="gpt-4o", messages=user("What is this?"))
    seen = gpt.chat.completions.create(model="gpt-4o", messages=user(parts))
    assert seen.choices[0].message.content == said("gpt-4o", "What is this?")
    assert seen.usage.prompt_tokens > plain.usage.prompt_tokens


def test_sampling_and_limits(gpt):
    short = gpt.chat.completions.create(model=MODEL, messages=user("Hello"), max_completion_tokens=2)
    assert short.choices[0].finish_reason == "length"
    assert short.choices[0].message.content == "Hello fr"
    assert short.usage.completion_tokens == 2
    stopped = gpt.chat.completions.create(model="gpt-4o", messages=user("one two three"), stop=["two"], temperature=0)
    assert stopped.choices[0].message.content == said("gpt-4o", "one ")
    several = gpt.chat.completions.create(model="gpt-4o", messages=user("Hi"), n=3)
    assert [choice.index for choice in several.choices] == [0, 1, 2]
    scored = gpt.chat.completions.create(
        model="gpt-4o", messages=user("Hi"), logprobs=True, top_logprobs=2
    )
    tokens = scored.choices[0].logprobs.content
    assert "".join(token.token for token in tokens) == said("gpt-4o", "Hi")
    assert all(len(token.top_logprobs) == 2 for token in tokens)


def test_reasoning(gpt):
    def reasoning(**options):
        answer = gpt.chat.completions.create(messages=user("Think"), **options)
        assert answer.choices[0].message.content == said(MODEL, "Think")
        return answer.usage.completion_tokens_details.reasoning_tokens

    assert reasoning(model=MODEL) == 0
    assert reasoning(model=MODEL, reasoning_effort="low") > 0
    assert reasoning(model=f"{MODEL}-thinking") > 0


def test_thinking_suffix_streamed(gpt):
    raw = gpt.chat.completions.with_raw_response.create(
        model=f"{MODEL}-thinking", messages=user("Think"), stream=True, stream_options={"include_usage": True}
    )
    assert raw.headers["x-torouter-model"] == MODEL
    chunks = list(raw.parse())
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == said(MODEL, "Think")
    assert chunks[-1].usage.completion_tokens_details.reasoning_tokens > 0


def test_vendor_prefix(gpt):
    answer = gpt.chat.completions.create(model="openai/gpt-5-mini", messages=user("Hi"))
    assert answer.choices[0].message.content == said("gpt-5-mini", "Hi")


def test_async(mount):
    async def run():
        async with openai_client(mount, cls=openai.AsyncOpenAI) as client:
            texts = [f"number {number}" for number in range(8)]
            answers = await asyncio.gather(
                *(client.chat.completions.create(model=MODEL, messages=user(text)) for text in texts)
            )
            assert [answer.choices[0].message.content for answer in answers] == [said(MODEL, text) for text in texts]
            pieces = []
            async for chunk in await client.chat.completions.create(model=MODEL, messages=user("Hi"), stream=True):
                pieces.append(chunk.choices[0].delta.content or "")
            assert "".join(pieces) == said(MODEL, "Hi")

    asyncio.run(run())


def test_wrong_key(mount):
    with openai_client(mount, key="sk-wrong") as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.chat.completions.create(model=MODEL, messages=user("Hi"))
    assert caught.value.status_code == 401
    assert caught.value.code == "INVALID_API_KEY"
    assert caught.value.request_id
    assert "sk-wrong" not in str(caught.value)


def test_unknown_model(gpt):
    for streamed in (False, True):
        with pytest.raises(openai.NotFoundError) as caught:
            gpt.chat.completions.create(model="nobodys-model", messages=user("Hi"), stream=streamed)
        assert caught.value.code == "model_not_found"
        assert "nobodys-model" in caught.value.message
        assert caught.value.request_id


def test_unknown_path(gpt):
    with pytest.raises(openai.NotFoundError) as caught:
        gpt.post("/nowhere", cast_to=object, body={})
    assert caught.value.code == "endpoint_not_found"


def test_bad_requests(gpt):
    with pytest.raises(openai.BadRequestError) as caught:
        gpt.chat.completions.create(model=MODEL, messages=[])
    # The provider's own words.
    assert (caught.value.code, caught.value.param) == ("empty_array", "messages")
    with pytest.raises(openai.BadRequestError) as caught:
        gpt.chat.completions.create(model=MODEL, messages=user("Hi"), max_tokens=5, stream=True)
    assert caught.value.code == "unsupported_parameter"
    with pytest.raises(openai.BadRequestError) as caught:
        gpt.chat.completions.create(model="", messages=user("Hi"))
    # The gateway's.
    assert caught.value.code == "invalid_request"
    assert caught.value.param == "model"


def test_key_in_the_query_is_refused(gpt):
    with pytest.raises(openai.BadRequestError) as caught:
        gpt.chat.completions.create(model=MODEL, messages=user("Hi"), extra_query={"key": "sk-demo"})
    assert caught.value.code == "api_key_in_query_deprecated"
