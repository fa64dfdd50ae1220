"""The `google-genai` SDK on models of every platform: functions, called by hand and by the SDK, also with thinking."""

from itertools import cycle

import pytest
from conftest import ASK_PARIS, said, tools_said
from google.genai import types
from translated import (
    ASK_BOTH, BOTH_ARGUMENTS, COMPATIBLE, GEMINI_3, GPT, OPUS, REASONER, ROUTER, SONNET, TIME_SCHEMA, TURNS, ids, thought,
)

MODELS = [GPT, SONNET, OPUS, ROUTER, COMPATIBLE]
# Those whose reasoning can be seen.
SHOWN = [SONNET, OPUS, ROUTER, REASONER]
THINKING = types.ThinkingConfig(thinking_budget=2048, include_thoughts=True)
WEATHER = types.FunctionDeclaration(
    name="get_weather",
    description="The weather in a city.",
    parameters=types.Schema(
        type="OBJECT",
        properties={
            "city": types.Schema(type="STRING"),
            "unit": types.Schema(type="STRING", enum=["celsius", "fahrenheit"]),
            "days": types.Schema(type="INTEGER", nullable=True),
        },
        required=["city", "unit"],
    ),
)
TIME = types.FunctionDeclaration(name="get_time", parameters_json_schema=TIME_SCHEMA)
NOW = types.FunctionDeclaration(name="get_now", description="The time.")
TOOLS = [types.Tool(function_declarations=[WEATHER, TIME])]

each_model = pytest.mark.parametrize("model", MODELS, ids=ids)
each_way = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def content_of(client, streamed, model, contents, **options):
    """The model's content, as it goes back."""
    config = types.GenerateContentConfig(**{"tools": TOOLS, **options})
    if not streamed:
        return client.models.generate_content(model=model, contents=contents, config=config).candidates[0].content
    chunks = list(client.models.generate_content_stream(model=model, contents=contents, config=config))
    every = [chunk.candidates[0].content for chunk in chunks if chunk.candidates]
    parts = [part for content in every if content for part in content.parts or []]
    return types.ModelContent([part for part in parts if part.text or part.function_call or part.thought_signature])


def text_of(content):
    return "".join(part.text for part in content.parts if part.text and not part.thought)


def thoughts_of(content):
    return "".join(part.text for part in content.parts if part.text and part.thought)


def calls_of(content):
    return [part.function_call for part in content.parts if part.function_call]


def response(call, text, key="result", with_id=True):
    part = types.Part.from_function_response(name=call.name, response={key: text})
    part.function_response.id = call.id if with_id else None
    return part


def unmodified(content):
    return content


def without_thoughts(content):
    """What a client keeps that knows nothing of thoughts and signatures."""
    kept = [
        types.Part(function_call=part.function_call) if part.function_call else types.Part(text=part.text)
        for part in content.parts
        if part.function_call or part.text and not part.thought
    ]
    return types.ModelContent(kept)


def is_answer(model, text, *results):
    """Is it the model's answer to these results? They may come to it in their object or out of it."""
    return text.startswith(tools_said(model, "")) and all(result in text for result in results)


def loop(client, models, keep, streamed, with_id=True, seen=lambda model, question, content: None, **options):
    """Three questions with a call, a result and an answer each; every request goes to the next of the models."""
    contents, models = [], cycle(models)

    def ask(question):
        model = next(models)
        content = content_of(client, streamed, model, contents, **options)
        assert content.role == "model"
        seen(model, question, content)
        contents.append(keep(content))
        return model, content

    for question, city, degrees in TURNS:
        contents.append(types.UserContent(question))
        _, asked = ask(question)
        (call,) = calls_of(asked)
        assert (call.name, call.args) == ("get_weather", {"city": city, "unit": "celsius"})
        assert not text_of(asked)
        contents.append(types.UserContent(response(call, degrees, with_id=with_id)))
        model, answer = ask(question)
        assert is_answer(model, text_of(answer), degrees) and not calls_of(answer)


@each_model
@each_way
@pytest.mark.parametrize("with_id", [True, False], ids=["with-ids", "by-name"])
def test_a_tool_loop_of_three_turns(model, streamed, with_id, gemini):
    # Clients of Gemini 2.5 know no ids: a call and its result are paired by name and order.
    loop(gemini, [model], unmodified if with_id else without_ids, streamed, with_id)


def without_ids(content):
    for call in calls_of(content):
        call.id = None
    return content


@pytest.mark.parametrize("model", SHOWN, ids=ids)
@each_way
def test_a_tool_loop_with_thinking_brings_the_signatures_back(model, streamed, gemini):
    def seen(model, question, content):
        assert thoughts_of(content) == thought(model, question)
        assert content.parts[0].thought

    loop(gemini, [model], unmodified, streamed, seen=seen, thinking_config=THINKING)


@pytest.mark.parametrize("model", [GPT, *SHOWN], ids=ids)
@each_way
@pytest.mark.parametrize("keep", [unmodified, without_thoughts])
def test_a_tool_loop_with_thinking_works_whatever_the_client_keeps(model, streamed, keep, gemini):
    budget = types.ThinkingConfig(thinking_budget=2048)
    loop(gemini, [model], keep, streamed, thinking_config=budget)
    loop(gemini, [model], without_thoughts, streamed, thinking_config=THINKING)


@each_way
@pytest.mark.parametrize(
    "models", [[SONNET, GEMINI_3, ROUTER, OPUS, GPT], [GEMINI_3, SONNET, OPUS, ROUTER, GPT]], ids=["one", "other"]
)
def test_a_tool_loop_with_thinking_may_move_from_vendor_to_vendor(models, streamed, gemini):
    # Between a call and its result, too: no signature may reach another than its maker.
    loop(gemini, models, unmodified, streamed, thinking_config=THINKING)


@each_model
@each_way
@pytest.mark.parametrize("with_id", [True, False], ids=["with-ids", "by-name"])
def test_parallel_calls_and_their_results(model, streamed, with_id, gemini):
    contents = [types.UserContent(ASK_BOTH)]
    asked = content_of(gemini, streamed, model, contents)
    calls = calls_of(asked)
    assert [(call.name, call.args) for call in calls] == BOTH_ARGUMENTS
    results = [response(calls[0], "18 degrees", with_id=with_id), response(calls[1], "noon", with_id=with_id)]
    contents += [asked if with_id else without_ids(asked), types.UserContent(results)]
    answer = content_of(gemini, streamed, model, contents)
    assert is_answer(model, text_of(answer), "18 degrees", "noon")
    assert text_of(answer).index("18 degrees") < text_of(answer).index("noon")
    contents += [answer, types.UserContent(TURNS[1][0])]
    (call,) = calls_of(content_of(gemini, streamed, model, contents))
    assert call.args["city"] == TURNS[1][1]


@each_model
@each_way
def test_two_calls_of_one_function_keep_their_results_apart(model, streamed, gemini):
    # Made up, as by a client that took the conversation over from elsewhere: no ids, one name.
    calls, results = [], []
    for city, degrees in (("Oslo", "7 degrees"), ("Rome", "25 degrees")):
        calls.append(types.Part.from_function_call(name="get_weather", args={"city": city, "unit": "celsius"}))
        results.append(types.Part.from_function_response(name="get_weather", response={"result": degrees}))
    contents = [types.UserContent(ASK_PARIS), types.ModelContent(calls), types.UserContent(results)]
    text = text_of(content_of(gemini, streamed, model, contents))
    assert is_answer(model, text, "7 degrees", "25 degrees")
    assert text.index("7 degrees") < text.index("25 degrees")


@each_model
def test_the_choice_of_a_function_is_kept(model, gemini):
    def called(mode, names=None):
        calling = types.FunctionCallingConfig(mode=mode, allowed_function_names=names)
        content = content_of(
            gemini, False, model, ASK_PARIS, tool_config=types.ToolConfig(function_calling_config=calling)
        )
        return [call.name for call in calls_of(content)] or text_of(content)

    assert called("ANY", ["get_time"]) == ["get_time"]
    assert called("ANY") == called("AUTO") == ["get_weather"]
    assert called("NONE") == said(model, ASK_PARIS)


@each_model
@each_way
def test_a_function_without_parameters_is_called_without_arguments(model, streamed, gemini):
    tools = [types.Tool(function_declarations=[NOW])]
    contents = [types.UserContent(ASK_PARIS)]
    asked = content_of(gemini, streamed, model, contents, tools=tools)
    (call,) = calls_of(asked)
    assert (call.name, call.args or {}) == ("get_now", {})
    contents += [asked, types.UserContent(response(call, "noon"))]
    assert is_answer(model, text_of(content_of(gemini, streamed, model, contents, tools=tools)), "noon")


@each_model
@pytest.mark.parametrize("key", ["output", "error", "degrees"])
def test_a_result_may_be_any_object(model, key, gemini):
    contents = [types.UserContent(ASK_PARIS)]
    asked = content_of(gemini, False, model, contents)
    contents += [asked, types.UserContent(response(calls_of(asked)[0], "18 degrees", key=key))]
    text = text_of(content_of(gemini, False, model, contents))
    assert is_answer(model, text, "18 degrees")
    if key == "degrees":  # Only the names that Google gives a meaning may be taken off.
        assert '"degrees"' in text


@each_model
def test_the_sdk_calls_python_functions_by_itself(model, gemini):
    asked = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "18 degrees"

    config = types.GenerateContentConfig(tools=[get_weather])
    answer = gemini.models.generate_content(model=model, contents=ASK_PARIS, config=config)
    assert is_answer(model, answer.text, "18 degrees")
    assert asked == ["Paris"]


@pytest.mark.parametrize("thinking", [None, THINKING], ids=["plain", "thinking"])
@each_model
def test_a_chat_calls_python_functions_over_three_turns(model, thinking, gemini):
    weather = {city: degrees for _, city, degrees in TURNS}
    asked = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return weather[city]

    chat = gemini.chats.create(
        model=model, config=types.GenerateContentConfig(tools=[get_weather], thinking_config=thinking)
    )
    for question, city, degrees in TURNS:
        assert is_answer(model, chat.send_message(question).text, degrees)
        assert asked[-1] == city
    assert len(asked) == 3
