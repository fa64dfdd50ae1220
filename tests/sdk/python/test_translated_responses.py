"""The `openai` SDK: Responses on models of other platforms, without state at the gateway."""

import json

import openai
import pytest
from conftest import ODD_TEXT, said, tools_said
from translated import GEMINI, GEMINI_3, OPUS, PNG_BASE64, REPORT, SONNET, TURNS, WEATHER_SCHEMA, Report, ids

MODELS = [SONNET, OPUS, GEMINI, GEMINI_3]
each_model = pytest.mark.parametrize("model", MODELS, ids=ids)
WEATHER = {"type": "function", "name": "get_weather", "parameters": WEATHER_SCHEMA, "strict": False}


def response_of(client, streamed, **options):
    if not streamed:
        return client.responses.create(**options)
    with client.responses.stream(**options) as stream:
        return stream.get_final_response()


@each_model
def test_text_whole_and_streamed(model, gpt):
    whole = gpt.responses.create(model=model, instructions="Be brief.", input=ODD_TEXT)
    assert whole.object == "response" and whole.status == "completed" and whole.id.startswith("resp_")
    assert whole.output_text == said(model, ODD_TEXT) and whole.model == model
    events = list(gpt.responses.create(model=model, instructions="Be brief.", input=ODD_TEXT, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == events[-1].response.output_text == whole.output_text
    assert events[-1].response.usage.total_tokens == whole.usage.total_tokens > 0


@each_model
def test_a_structured_answer_is_parsed(model, gpt):
    answer = gpt.responses.parse(model=model, input="In Paris?", text_format=Report)
    assert answer.output_parsed == REPORT


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("thinks", [False, True], ids=["plain", "thinking"])
@each_model
def test_a_tool_loop_of_three_turns_without_state(model, thinks, streamed, gpt):
    options = {"model": model, "tools": [WEATHER], "store": False}
    if thinks:
        options |= {"reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    items = []
    for question, city, result in TURNS:
        items.append({"role": "user", "content": question})
        asked = response_of(gpt, streamed, input=items, **options)
        (call,) = [item for item in asked.output if item.type == "function_call"]
        assert call.name == "get_weather" and json.loads(call.arguments)["city"] == city
        if thinks:
            assert any(item.type == "reasoning" for item in asked.output)
        items += [item.model_dump(exclude_none=True) for item in asked.output]
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
        answer = response_of(gpt, streamed, input=items, **options)
        assert answer.output_text == tools_said(model, result)
        items += [item.model_dump(exclude_none=True) for item in answer.output]


@each_model
def test_a_picture_is_seen(model, gpt):
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG_BASE64}", "detail": "auto"},
    ]
    answer = gpt.responses.create(model=model, input=[{"role": "user", "content": content}])
    assert answer.output_text == said(model, "What is this?")


@each_model
def test_a_limit_makes_the_answer_incomplete(model, gpt):
    answer = gpt.responses.create(model=model, input="Hi", max_output_tokens=16 if model == GEMINI_3 else 2)
    if answer.status == "incomplete":
        assert answer.incomplete_details.reason == "max_output_tokens"


@each_model
def test_tokens_are_counted(model, gpt):
    counted = gpt.responses.input_tokens.count(model=model, input="How many tokens are in this sentence?")
    assert counted.object == "response.input_tokens" and 5 <= counted.input_tokens < 40
