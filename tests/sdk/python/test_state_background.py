"""The `openai` SDK: responses in the background, on every platform in the same way."""

import time

import openai
import pytest
from conftest import said
from translated import each_platform, recalled

# The simulated models take their time for it.
SLOW = "SLOWLY count to three"
WITHIN_S = 20


def finished(client, response):
    """The response when it has come to its end."""
    end = time.monotonic() + WITHIN_S
    while response.status in ("queued", "in_progress"):
        assert time.monotonic() < end, f"still {response.status}"
        time.sleep(0.02)
        response = client.responses.retrieve(response.id)
    return response


@each_platform
def test_a_background_response_is_polled_until_it_is_completed(model, gpt):
    made = gpt.responses.create(model=model, input=SLOW, background=True)
    assert made.status in ("queued", "in_progress") and made.background is True
    assert made.output == [] and made.usage is None
    done = finished(gpt, made)
    assert done.id == made.id and done.status == "completed" and done.background is True
    assert done.output_text == said(model, SLOW) and done.usage.output_tokens > 0
    follow = gpt.responses.create(model=model, input="RECALL", previous_response_id=done.id)
    assert follow.output_text == recalled(model, [SLOW], answers=1)


@each_platform
def test_a_background_response_may_continue_another(model, gpt):
    first = gpt.responses.create(model=model, input="I am Ada")
    made = gpt.responses.create(model=model, input="RECALL", background=True, previous_response_id=first.id)
    assert finished(gpt, made).output_text == recalled(model, ["I am Ada"], answers=1)


@each_platform
def test_a_response_that_is_still_running_cannot_be_continued(model, gpt):
    made = gpt.responses.create(model=model, input=SLOW, background=True)
    with pytest.raises((openai.BadRequestError, openai.ConflictError)):
        gpt.responses.create(model=model, input="Hi", previous_response_id=made.id)
    assert finished(gpt, made).status == "completed"


@each_platform
def test_a_background_stream_is_taken_up_where_it_was_left(model, gpt):
    seen = []
    with gpt.responses.create(model=model, input=SLOW, background=True, stream=True) as stream:
        for event in stream:
            seen.append(event)
            if event.type == "response.output_text.delta":
                break
    assert seen[0].type == "response.created" and seen[0].response.status in ("queued", "in_progress")
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    made, last = seen[0].response, seen[-1].sequence_number
    # It goes on without its client, and the rest is sent as it happens.
    assert gpt.responses.retrieve(made.id).status == "in_progress"
    rest = list(gpt.responses.retrieve(made.id, stream=True, starting_after=last))
    assert [event.sequence_number for event in rest] == list(range(last + 1, last + 1 + len(rest)))
    assert rest[-1].type == "response.completed" and rest[-1].response.id == made.id
    deltas = [event.delta for event in [*seen, *rest] if event.type == "response.output_text.delta"]
    assert "".join(deltas) == rest[-1].response.output_text == said(model, SLOW)
    # Once it is over, all of it is there.
    again = list(gpt.responses.retrieve(made.id, stream=True))
    assert [event.to_json() for event in again] == [event.to_json() for event in [*seen, *rest]]
    assert gpt.responses.retrieve(made.id).output_text == said(model, SLOW)


@each_platform
def test_only_a_background_stream_can_be_taken_up(model, gpt):
    made = gpt.responses.create(model=model, input="Hi")
    with pytest.raises(openai.BadRequestError) as caught:
        list(gpt.responses.retrieve(made.id, stream=True))
    assert caught.value.param == "stream"


@each_platform
def test_a_background_response_can_be_cancelled(model, gpt):
    made = gpt.responses.create(model=model, input=SLOW, background=True)
    cancelled = gpt.responses.cancel(made.id)
    assert cancelled.id == made.id and cancelled.status == "cancelled"
    assert cancelled.usage is None
    read = gpt.responses.retrieve(made.id)
    assert read.status == "cancelled" and read.output == cancelled.output
    # Once more is no mistake.
    assert gpt.responses.cancel(made.id).status == "cancelled"


@each_platform
def test_a_cancelled_stream_ends(model, gpt):
    with gpt.responses.create(model=model, input=SLOW, background=True, stream=True) as stream:
        events = iter(stream)
        made = next(events).response
        assert gpt.responses.cancel(made.id).status == "cancelled"
        rest = []
        try:
            rest = [event.type for event in events]
        except openai.APIError:
            # An error event is an end, too.
            pass
    assert "response.completed" not in rest
    assert gpt.responses.retrieve(made.id).status == "cancelled"


@each_platform
def test_only_a_background_response_can_be_cancelled(model, gpt):
    made = gpt.responses.create(model=model, input="Hi")
    with pytest.raises(openai.BadRequestError):
        gpt.responses.cancel(made.id)
    done = finished(gpt, gpt.responses.create(model=model, input="Hi", background=True))
    assert gpt.responses.cancel(done.id).status == "completed"


@each_platform
def test_a_background_response_must_be_stored(model, gpt):
    with pytest.raises(openai.BadRequestError):
        gpt.responses.create(model=model, input="Hi", background=True, store=False)


@each_platform
def test_a_background_response_can_be_deleted(model, gpt):
    made = gpt.responses.create(model=model, input=SLOW, background=True)
    gpt.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        gpt.responses.retrieve(made.id)
