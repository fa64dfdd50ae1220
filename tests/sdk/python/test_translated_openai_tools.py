"""The `openai` SDK's Chat Completions on models of every platform: tools, and tools with thinking."""

import json
from itertools import cycle

import pytest
from conftest import ASK_PARIS, said, tools_said
from translated import (
    ASK_BOTH, BOTH_ARGUMENTS, COMPATIBLE, GEMINI, GEMINI_3, GPT, OPUS, ROUTER, SONNET, TIME_SCHEMA, TURNS,
    WEATHER_SCHEMA, compact, ids, thought, user,
)

TRANSLATED = [SONNET, OPUS, GEMINI, GEMINI_3]
MODELS = [*TRANSLATED, ROUTER, COMPATIBLE]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "strict": True,
        "parameters": {**WEATHER_SCHEMA, "additionalProperties": False},
    },
}
TIME = {
    "type": "function",
    # What other protocols do not know of JSON Schema must not stop them.
    "function": {
        "name": "get_time",
        "parameters": {"$schema": "http://json-schema.org/draft-07/schema#", **TIME_SCHEMA, "additionalProperties": False},
    },
}
NOW = {"type": "function", "function": {"name": "get_now", "description": "The time."}}

each_model = pytest.mark.parametrize("model", MODELS, ids=ids)
each_translated = pytest.mark.parametrize("model", TRANSLATED, ids=ids)
each_way = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def choice_of(client, streamed, **options):
    """The one choice of an answer, gathered by the SDK where it is streamed."""
    if not streamed:
        (choice,) = client.chat.completions.create(**options).choices
    else:
        with client.chat.completions.stream(**options) as stream:
            (choice,) = stream.get_final_completion().choices
        if options["model"] == ROUTER:
            # OpenRouter names the role in each delta, and the SDK strings them together. The bytes are left as they are.
            choice.message.role = "assistant"
    return choice


def as_object(message):
    return message


def as_dump(message):
    return message.model_dump(exclude_none=True)


def without_reasoning(message):
    """What a client keeps that knows nothing of reasoning."""
    kept = {"role": "assistant", "content": message.content}
    if message.tool_calls:
        kept["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": c.function.arguments}}
            for c in message.tool_calls
        ]
    return kept


def tool(call, text):
    return {"role": "tool", "tool_call_id": call.id, "content": text}


def loop(client, models, keep, streamed, seen=lambda model, question, message: None, **options):
    """Three questions with a call, a result and an answer each; every request goes to the next of the models."""
    messages, called, models = [], [], cycle(models)

    def ask(question):
        model = next(models)
        choice = choice_of(client, streamed, model=model, messages=messages, tools=[WEATHER, TIME], **options)
        seen(model, question, choice.message)
        messages.append(keep(choice.message))
        return model, choice

    for question, city, degrees in TURNS:
        messages += user(question)
        _, asked = ask(question)
        assert asked.finish_reason == "tool_calls"
        (call,) = asked.message.tool_calls
        assert (call.type, call.function.name) == ("function", "get_weather")
        assert json.loads(call.function.arguments) == {"city": city, "unit": "celsius"}
        assert not asked.message.content
        called.append(call.id)
        messages.append(tool(call, degrees))
        model, answer = ask(question)
        assert (answer.message.content, answer.finish_reason) == (tools_said(model, degrees), "stop")
        assert not answer.message.tool_calls
    assert all(called) and len(set(called)) == len(TURNS)


@each_model
@each_way
@pytest.mark.parametrize("keep", [as_object, as_dump, without_reasoning])
def test_a_tool_loop_of_three_turns(model, streamed, keep, gpt):
    loop(gpt, [model], keep, streamed)


@pytest.mark.parametrize("model", [*TRANSLATED, COMPATIBLE])
@each_way
@pytest.mark.parametrize("keep", [as_object, as_dump])
def test_a_tool_loop_with_thinking_brings_the_signatures_back(model, streamed, keep, gpt):
    def seen(model, question, message):
        assert message.reasoning_content == thought(model, question)

    loop(gpt, [model], keep, streamed, seen, reasoning_effort="high")


@each_way
def test_a_tool_loop_with_thinking_on_openrouter_is_left_as_it_is(streamed, gpt):
    loop(gpt, [ROUTER], as_dump, streamed, reasoning_effort="high")


@each_model
@each_way
def test_a_tool_loop_works_for_a_client_that_drops_the_reasoning(model, streamed, gpt):
    loop(gpt, [model], without_reasoning, streamed, reasoning_effort="high")


@each_way
@pytest.mark.parametrize(
    "models", [[SONNET, GEMINI_3, ROUTER, OPUS, GPT], [GEMINI_3, SONNET, OPUS, ROUTER, GPT]], ids=["one", "other"]
)
def test_a_tool_loop_with_thinking_may_move_from_vendor_to_vendor(models, streamed, gpt):
    # Between a call and its result, too: no signature may reach another than its maker.
    loop(gpt, models, as_dump, streamed, reasoning_effort="high")


@each_model
@each_way
def test_parallel_calls_and_their_results(model, streamed, gpt):
    options = {"model": model, "tools": [WEATHER, TIME]}
    messages = user(ASK_BOTH)
    asked = choice_of(gpt, streamed, messages=messages, **options)
    assert asked.finish_reason == "tool_calls"
    calls = asked.message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == BOTH_ARGUMENTS
    assert len({call.id for call in calls}) == 2
    messages += [as_dump(asked.message), tool(calls[0], "18 degrees"), tool(calls[1], "noon")]
    answer = choice_of(gpt, streamed, messages=messages, **options)
    assert answer.message.content == tools_said(model, "18 degrees; noon")
    # The whole conversation goes on.
    messages += [as_dump(answer.message), *user(TURNS[1][0])]
    (call,) = choice_of(gpt, streamed, messages=messages, **options).message.tool_calls
    assert json.loads(call.function.arguments)["city"] == TURNS[1][1]


@each_translated
def test_streamed_calls_have_an_index_one_id_and_whole_arguments(model, gpt):
    stream = gpt.chat.completions.create(model=model, messages=user(ASK_BOTH), tools=[WEATHER, TIME], stream=True)
    pieces = [piece for c in stream for piece in c.choices[0].delta.tool_calls or []]
    for index, (name, arguments) in enumerate(BOTH_ARGUMENTS):
        own = [piece for piece in pieces if piece.index == index]
        assert own[0].id and own[0].type == "function" and own[0].function.name == name
        # One call is opened once.
        assert all(piece.id is None and not piece.function.name for piece in own[1:])
        assert json.loads("".join(piece.function.arguments or "" for piece in own)) == arguments
    assert [piece.index for piece in pieces] == sorted(piece.index for piece in pieces)


@pytest.mark.parametrize("model", [SONNET, OPUS, ROUTER, COMPATIBLE], ids=ids)
def test_calls_come_one_at_a_time_when_asked_for(model, gpt):
    options = {"model": model, "messages": user(ASK_BOTH), "tools": [WEATHER, TIME]}
    choice = choice_of(gpt, False, parallel_tool_calls=False, **options)
    assert [call.function.name for call in choice.message.tool_calls] == ["get_weather"]


@each_model
def test_the_choice_of_a_tool_is_kept(model, gpt):
    def called(choice):
        options = {"model": model, "messages": user(ASK_PARIS), "tools": [WEATHER, TIME], "tool_choice": choice}
        message = choice_of(gpt, False, **options).message
        return [call.function.name for call in message.tool_calls or []] or message.content

    assert called({"type": "function", "function": {"name": "get_time"}}) == ["get_time"]
    assert called("required") == called("auto") == ["get_weather"]
    assert called("none") == said(model, ASK_PARIS)


@each_model
@each_way
def test_a_tool_without_parameters_is_called_with_an_empty_object(model, streamed, gpt):
    options = {"model": model, "tools": [NOW]}
    messages = user(ASK_PARIS)
    asked = choice_of(gpt, streamed, messages=messages, **options)
    (call,) = asked.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_now", "{}")
    message = as_dump(asked.message)
    # Some clients keep nothing where there was nothing.
    message["tool_calls"][0]["function"]["arguments"] = ""
    answer = choice_of(gpt, streamed, messages=[*messages, message, tool(call, "noon")], **options)
    assert answer.message.content == tools_said(model, "noon")


@each_model
def test_a_result_may_be_parts_or_json(model, gpt):
    for result, text in [
        ([{"type": "text", "text": "18 degrees"}], "18 degrees"),
        (compact({"degrees": 18, "sky": ["clear"]}), compact({"degrees": 18, "sky": ["clear"]})),
    ]:
        messages = user(ASK_PARIS)
        asked = choice_of(gpt, False, model=model, messages=messages, tools=[WEATHER]).message
        messages += [asked, tool(asked.tool_calls[0], result)]
        answer = choice_of(gpt, False, model=model, messages=messages, tools=[WEATHER])
        assert answer.message.content == tools_said(model, text)


@each_translated
@each_way
def test_the_old_form_of_tools_is_answered_in_the_old_form(model, streamed, gpt):
    options = {"model": model, "functions": [WEATHER["function"], TIME["function"]]}

    def ask(**more):
        if not streamed:
            (choice,) = gpt.chat.completions.create(messages=messages, **options, **more).choices
            return choice.finish_reason, choice.message.content, choice.message.function_call
        chunks = [c for c in gpt.chat.completions.create(messages=messages, stream=True, **options, **more) if c.choices]
        deltas = [chunk.choices[0].delta for chunk in chunks]
        calls = [delta.function_call for delta in deltas if delta.function_call]
        call = calls[0] if calls else None
        if call:
            call.arguments = "".join(one.arguments or "" for one in calls)
        assert not any(delta.tool_calls for delta in deltas)
        (finish,) = [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason]
        return finish, "".join(delta.content or "" for delta in deltas), call

    messages = user(ASK_PARIS)
    finish, _, call = ask()
    assert (finish, call.name) == ("function_call", "get_weather")
    assert json.loads(call.arguments) == {"city": "Paris", "unit": "celsius"}
    messages += [
        {"role": "assistant", "content": None, "function_call": {"name": call.name, "arguments": call.arguments}},
        {"role": "function", "name": call.name, "content": "18 degrees"},
    ]
    assert ask()[:2] == ("stop", tools_said(model, "18 degrees"))
    messages = user(ASK_PARIS)
    assert ask(function_call={"name": "get_time"})[2].name == "get_time"
