"""The `openai` SDK over a WebSocket: the same turns, on every platform in the same way."""

import openai
import pytest
from conftest import said, tools_said
from translated import WEATHER_SCHEMA, each_platform, recalled

WEATHER = {"type": "function", "name": "get_weather", "parameters": WEATHER_SCHEMA, "strict": False}
ENDS = ("response.completed", "response.incomplete", "response.failed", "error")
# As Codex sends it.
BETA = {"openai-beta": "responses_websockets=2026-02-06"}


def turn(socket, **options):
    """All events of one turn."""
    socket.response.create(**options)
    events = []
    while not events or events[-1].type not in ENDS:
        events.append(socket.recv())
    return events


def completed(events):
    assert events[0].type == "response.created" and events[-1].type == "response.completed", events[-1]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return events[-1].response


@each_platform
def test_turns_follow_each_other_though_nothing_is_stored(model, gpt):
    with gpt.responses.connect(extra_headers=BETA) as socket:
        events = turn(socket, model=model, input="I am Ada", store=False)
        first = completed(events)
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(deltas) == first.output_text == said(model, "I am Ada") and len(deltas) > 1
        second = completed(turn(socket, model=model, input="I like tea", store=False, previous_response_id=first.id))
        third = completed(turn(socket, model=model, input="RECALL", store=False, previous_response_id=second.id))
        assert third.output_text == recalled(model, ["I am Ada", "I like tea"], answers=2)
        assert third.usage.input_tokens > second.usage.input_tokens > first.usage.input_tokens
    with pytest.raises(openai.NotFoundError):
        gpt.responses.retrieve(third.id)


@each_platform
def test_a_connection_is_warmed_up_without_output(model, gpt):
    options = {"model": model, "store": False, "instructions": "Be brief.", "tools": [WEATHER]}
    with gpt.responses.connect(extra_headers=BETA) as socket:
        warm = completed(turn(socket, input=[], generate=False, **options))
        assert warm.output == []
        asked = completed(turn(socket, input="In Paris?", previous_response_id=warm.id, **options))
        (call,) = [item for item in asked.output if item.type == "function_call"]
        output = [{"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}]
        answer = completed(turn(socket, input=output, previous_response_id=asked.id, **options))
        assert answer.output_text == tools_said(model, "18 degrees")


@each_platform
def test_input_of_a_warm_up_is_part_of_the_conversation(model, gpt):
    with gpt.responses.connect() as socket:
        warm = completed(turn(socket, model=model, input="I am Ada", generate=False, store=False))
        answer = completed(turn(socket, model=model, input="RECALL", previous_response_id=warm.id, store=False))
        # Two turns of a user are one, where the protocol knows no others.
        if answer.output_text != recalled(model, ["I am Ada"]):
            assert answer.output_text == said(model, "I am Ada\nRECALL")


@each_platform
def test_reasoning_goes_along(model, gpt):
    options = {
        "model": model,
        "store": False,
        "tools": [WEATHER],
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    }
    with gpt.responses.connect() as socket:
        asked = completed(turn(socket, input="In Paris?", **options))
        assert any(item.type == "reasoning" and item.encrypted_content for item in asked.output)
        (call,) = [item for item in asked.output if item.type == "function_call"]
        output = [{"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}]
        answer = completed(turn(socket, input=output, previous_response_id=asked.id, **options))
        assert answer.output_text == tools_said(model, "18 degrees")


@each_platform
def test_what_is_stored_is_known_to_http_and_back(model, gpt):
    first = gpt.responses.create(model=model, input="I am Ada")
    with gpt.responses.connect() as socket:
        second = completed(turn(socket, model=model, input="I like tea", previous_response_id=first.id))
    assert gpt.responses.retrieve(second.id).output_text == said(model, "I like tea")
    third = gpt.responses.create(model=model, input="RECALL", previous_response_id=second.id)
    assert third.output_text == recalled(model, ["I am Ada", "I like tea"], answers=2)


@each_platform
def test_an_error_is_a_frame_and_the_connection_stays(model, gpt):
    with gpt.responses.connect() as socket:
        (error,) = turn(socket, model="missing-model", input="Hi")
        assert error.type == "error" and error.status == 404 and error.error.code == "model_not_found"
        (error,) = turn(socket, model=model, input="Hi", previous_response_id="resp_nobody")
        assert error.type == "error" and error.status in (400, 404)
        assert error.error.code == "previous_response_not_found"
        assert completed(turn(socket, model=model, input="Hi")).output_text == said(model, "Hi")


@each_platform
def test_another_connection_does_not_know_what_was_not_stored(model, gpt):
    with gpt.responses.connect() as socket:
        made = completed(turn(socket, model=model, input="I am Ada", store=False))
    with gpt.responses.connect() as socket:
        (error,) = turn(socket, model=model, input="Hi", store=False, previous_response_id=made.id)
        assert error.type == "error" and error.error.code == "previous_response_not_found"
