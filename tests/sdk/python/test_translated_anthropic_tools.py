"""The `anthropic` SDK's Messages on models of every platform: tools, and tools with thinking."""

from itertools import cycle

import pytest
from conftest import ASK_PARIS, said, tools_said
from translated import (
    ASK_BOTH, BOTH_ARGUMENTS, COMPATIBLE, GEMINI, GEMINI_3, GPT, PNG_BASE64, REASONER, ROUTER, SONNET, TIME_SCHEMA, TURNS,
    WEATHER_SCHEMA, compact, ids, thought, user,
)

MODELS = [GPT, GEMINI, GEMINI_3, ROUTER, COMPATIBLE]
# Those whose reasoning can be seen.
SHOWN = [GEMINI, GEMINI_3, ROUTER, REASONER]
BUDGET = {"type": "enabled", "budget_tokens": 1024}
WEATHER = {"name": "get_weather", "description": "The weather in a city.", "input_schema": WEATHER_SCHEMA}
# What other protocols do not know of JSON Schema must not stop them.
DRAFT = {"$schema": "https://json-schema.org/draft/2020-12/schema", "additionalProperties": False}
TIME = {"name": "get_time", "input_schema": {**DRAFT, **TIME_SCHEMA}}
NOW = {"name": "get_now", "input_schema": {"type": "object"}}

each_model = pytest.mark.parametrize("model", MODELS, ids=ids)
each_way = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def message_of(client, streamed, **options):
    options = {"max_tokens": 4000, **options}
    if not streamed:
        return client.messages.create(**options)
    with client.messages.stream(**options) as stream:
        return stream.get_final_message()


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def calls_of(message):
    return [block for block in message.content if block.type == "tool_use"]


def result(call, content, **more):
    return {"type": "tool_result", "tool_use_id": call.id, "content": content, **more}


def unmodified(message):
    return {"role": "assistant", "content": message.content}


def without_thinking(message):
    """What a client keeps that knows nothing of thinking."""
    kept = [block for block in message.content if block.type not in ("thinking", "redacted_thinking")]
    return {"role": "assistant", "content": kept}


def loop(client, models, keep, streamed, seen=lambda model, question, message: None, **options):
    """Three questions with a call, a result and an answer each; the models take turns."""
    messages, called, models = [], [], cycle(models)

    def ask(model, question):
        message = message_of(client, streamed, model=model, messages=messages, tools=[WEATHER, TIME], **options)
        assert message.model == model
        seen(model, question, message)
        messages.append(keep(message))
        return message

    for question, city, degrees in TURNS:
        model = next(models)
        messages += user(question)
        asked = ask(model, question)
        assert asked.stop_reason == "tool_use"
        (call,) = calls_of(asked)
        assert (call.name, call.input) == ("get_weather", {"city": city, "unit": "celsius"})
        assert asked.content[-1] is call and not text_of(asked)
        called.append(call.id)
        messages += user([result(call, degrees)])
        answer = ask(model, question)
        assert (text_of(answer), answer.stop_reason) == (tools_said(model, degrees), "end_turn")
    assert all(called) and len(set(called)) == len(TURNS)


@each_model
@each_way
def test_a_tool_loop_of_three_turns(model, streamed, claude):
    loop(claude, [model], unmodified, streamed)


@pytest.mark.parametrize("model", SHOWN, ids=ids)
@each_way
def test_a_tool_loop_with_thinking_brings_the_signatures_back(model, streamed, claude):
    def seen(model, question, message):
        kinds = [block.type for block in message.content]
        assert kinds[0] == "thinking" and kinds[-1] in ("text", "tool_use")
        shown = [block.thinking for block in message.content if block.type == "thinking"]
        assert "".join(shown) == thought(model, question)
        # The SDK's own type wants one, and drops no block that has none.
        assert all(isinstance(block.signature, str) for block in message.content if block.type == "thinking")

    loop(claude, [model], unmodified, streamed, seen, thinking=BUDGET)


@each_way
def test_a_tool_loop_with_thinking_works_where_none_is_shown(streamed, claude):
    loop(claude, [GPT], unmodified, streamed, thinking=BUDGET)


@pytest.mark.parametrize("model", [GPT, *SHOWN], ids=ids)
@each_way
def test_a_tool_loop_works_for_a_client_that_drops_the_thinking(model, streamed, claude):
    loop(claude, [model], without_thinking, streamed, thinking=BUDGET)


@each_way
@pytest.mark.parametrize(
    "models", [[GEMINI_3, SONNET, ROUTER], [SONNET, GPT, GEMINI_3], [ROUTER, GEMINI_3, SONNET]], ids=["a", "b", "c"]
)
def test_a_conversation_with_thinking_may_move_from_vendor_to_vendor(models, streamed, claude):
    # The signatures of one stay in the history that the next gets: each wants its own only.
    loop(claude, models, unmodified, streamed, thinking=BUDGET)


@each_model
@each_way
def test_parallel_calls_and_their_results(model, streamed, claude):
    options = {"model": model, "tools": [WEATHER, TIME]}
    messages = user(ASK_BOTH)
    asked = message_of(claude, streamed, messages=messages, **options)
    assert asked.stop_reason == "tool_use"
    calls = calls_of(asked)
    assert [(call.name, call.input) for call in calls] == BOTH_ARGUMENTS
    assert len({call.id for call in calls}) == 2
    results = [result(calls[0], "18 degrees"), result(calls[1], [{"type": "text", "text": "noon"}])]
    messages += [unmodified(asked), *user(results)]
    answer = message_of(claude, streamed, messages=messages, **options)
    assert text_of(answer) == tools_said(model, "18 degrees; noon")
    messages += [unmodified(answer), *user(TURNS[1][0])]
    (call,) = calls_of(message_of(claude, streamed, messages=messages, **options))
    assert call.input["city"] == TURNS[1][1]


@each_model
def test_streamed_calls_are_blocks_of_their_own_with_whole_arguments(model, claude):
    events = list(
        claude.messages.create(model=model, max_tokens=4000, messages=user(ASK_BOTH), tools=[WEATHER, TIME], stream=True)
    )
    open_blocks, started, written = set(), [], {}
    for event in events:
        if event.type == "content_block_start":
            # Contiguous, one at a time, never used again.
            assert event.index == len(started) and not open_blocks
            started.append(event.content_block)
            open_blocks.add(event.index)
        elif event.type == "content_block_delta":
            assert event.index in open_blocks
            if started[event.index].type == "thinking":
                # A signature that has to come back with the call, and nothing else.
                assert event.delta.type == "signature_delta"
                continue
            assert event.delta.type == "input_json_delta"
            written[event.index] = written.get(event.index, "") + event.delta.partial_json
        elif event.type == "content_block_stop":
            open_blocks.remove(event.index)
    assert not open_blocks
    calls = [(at, block) for at, block in enumerate(started) if block.type != "thinking"]
    assert [(block.type, block.input) for _, block in calls] == [("tool_use", {})] * 2
    assert [(block.name, written[at]) for at, block in calls] == [
        (name, compact(arguments)) for name, arguments in BOTH_ARGUMENTS
    ]


@pytest.mark.parametrize("model", [GPT, ROUTER, COMPATIBLE], ids=ids)
def test_calls_come_one_at_a_time_when_asked_for(model, claude):
    message = message_of(
        claude,
        False,
        model=model,
        messages=user(ASK_BOTH),
        tools=[WEATHER, TIME],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
    )
    assert [call.name for call in calls_of(message)] == ["get_weather"]


@each_model
def test_the_choice_of_a_tool_is_kept(model, claude):
    def called(**choice):
        options = {"model": model, "messages": user(ASK_PARIS), "tools": [WEATHER, TIME], "tool_choice": choice}
        message = message_of(claude, False, **options)
        return [call.name for call in calls_of(message)] or text_of(message)

    assert called(type="tool", name="get_time") == ["get_time"]
    assert called(type="any") == called(type="auto") == ["get_weather"]
    assert called(type="none") == said(model, ASK_PARIS)


@each_model
@each_way
def test_a_tool_without_parameters_is_called_with_an_empty_object(model, streamed, claude):
    options = {"model": model, "tools": [NOW]}
    messages = user(ASK_PARIS)
    asked = message_of(claude, streamed, messages=messages, **options)
    (call,) = calls_of(asked)
    assert (call.name, call.input) == ("get_now", {})
    messages += [unmodified(asked), *user([result(call, "noon")])]
    assert text_of(message_of(claude, streamed, messages=messages, **options)) == tools_said(model, "noon")


@each_model
def test_a_result_may_be_an_error_or_json_or_nothing(model, claude):
    def answered(content, **more):
        messages = user(ASK_PARIS)
        asked = message_of(claude, False, model=model, messages=messages, tools=[WEATHER])
        messages += [unmodified(asked), *user([result(calls_of(asked)[0], content, **more)])]
        return text_of(message_of(claude, False, model=model, messages=messages, tools=[WEATHER]))

    failed = answered("no such city", is_error=True)
    assert failed.startswith(tools_said(model, "")) and "no such city" in failed
    assert answered(compact({"degrees": 18})) == tools_said(model, compact({"degrees": 18}))
    assert answered("").startswith(f"Hello from {model}.")


@each_model
def test_a_picture_in_a_result_reaches_the_model(model, claude):
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}}
    text = {"type": "text", "text": "A map."}
    messages = user(ASK_PARIS)
    asked = message_of(claude, False, model=model, messages=messages, tools=[WEATHER])

    def read(content):
        history = [*messages, unmodified(asked), *user([result(calls_of(asked)[0], content)])]
        message = message_of(claude, False, model=model, messages=history, tools=[WEATHER], tool_choice={"type": "none"})
        return message.usage.input_tokens

    # The simulator counts 85 for a picture in a message, and a quarter of the letters of one in a Gemini result.
    assert read([text, picture]) - read([text]) >= 20
