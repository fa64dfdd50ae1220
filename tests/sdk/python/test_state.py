"""The `openai` SDK: what the Responses API remembers, on every platform in the same way."""

import json
import threading

import openai
import pytest
from conftest import said, tools_said
from translated import (
    GPT, PLATFORM_MODELS, REPORT, TURNS, WEATHER_SCHEMA, Report, each_platform, recalled, tokens, user,
)

WEATHER = {"type": "function", "name": "get_weather", "parameters": WEATHER_SCHEMA, "strict": False}
ADA, TEA = "I am Ada", "I like tea"
# Gemini does not mind a call without a result.
each_strict = pytest.mark.parametrize("model", [model for model in PLATFORM_MODELS.values() if "gemini" not in model])
each_way = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def response_of(client, streamed=False, **options):
    if not streamed:
        return client.responses.create(**options)
    with client.responses.stream(**options) as stream:
        return stream.get_final_response()


def is_unknown_previous(model, caught):
    """The gateway says 404; what it only passes on is OpenAI's 400."""
    known = (400, 404) if model == GPT else (404,)
    return caught.value.status_code in known and caught.value.code == "previous_response_not_found"


@each_way
@each_platform
def test_a_turn_brings_all_earlier_ones_along(model, streamed, gpt):
    first = response_of(gpt, streamed, model=model, input=ADA)
    second = response_of(gpt, streamed, model=model, input=TEA, previous_response_id=first.id)
    third = response_of(gpt, streamed, model=model, input="RECALL", previous_response_id=second.id)
    assert second.output_text == said(model, TEA)
    assert third.output_text == recalled(model, [ADA, TEA], answers=2)
    assert [first.previous_response_id, second.previous_response_id, third.previous_response_id] == [
        None, first.id, second.id,
    ]
    assert len({first.id, second.id, third.id}) == 3
    # At least what was said on both sides came before.
    assert second.usage.input_tokens >= first.usage.input_tokens + tokens(said(model, ADA))
    assert third.usage.input_tokens >= second.usage.input_tokens + tokens(said(model, TEA))


@each_platform
def test_a_response_can_be_continued_twice(model, gpt):
    first = gpt.responses.create(model=model, input=ADA)
    texts = {}

    def follow(at):
        second = gpt.responses.create(model=model, input=f"branch {at}", previous_response_id=first.id)
        third = gpt.responses.create(model=model, input="RECALL", previous_response_id=second.id)
        texts[at] = third.output_text

    threads = [threading.Thread(target=follow, args=[at]) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {at: recalled(model, [ADA, f"branch {at}"], answers=2) for at in range(4)}


@each_platform
def test_instructions_are_not_carried_over(model, gpt):
    first = gpt.responses.create(model=model, input=ADA, instructions="Be brief. " * 50)
    second = gpt.responses.create(model=model, input=TEA, previous_response_id=first.id)
    assert first.instructions and second.instructions is None
    assert second.usage.input_tokens < first.usage.input_tokens


@each_way
@pytest.mark.parametrize("thinks", [False, True], ids=["plain", "thinking"])
@each_platform
def test_a_tool_loop_sends_the_results_only(model, thinks, streamed, gpt):
    options = {"model": model, "tools": [WEATHER]}
    if thinks:
        options["reasoning"] = {"effort": "high", "summary": "auto"}
    answer = None
    for question, city, result in TURNS:
        before = {"previous_response_id": answer.id} if answer else {}
        asked = response_of(gpt, streamed, input=question, **options, **before)
        (call,) = [item for item in asked.output if item.type == "function_call"]
        assert call.name == "get_weather" and json.loads(call.arguments)["city"] == city
        output = [{"type": "function_call_output", "call_id": call.call_id, "output": result}]
        answer = response_of(gpt, streamed, input=output, previous_response_id=asked.id, **options)
        assert answer.output_text == tools_said(model, result)
    last = response_of(gpt, streamed, model=model, input="RECALL", previous_response_id=answer.id)
    assert last.output_text == recalled(model, [question for question, _, _ in TURNS], answers=3, results=3)


@each_strict
def test_a_call_of_an_earlier_response_must_be_answered(model, gpt):
    asked = gpt.responses.create(model=model, input="In Paris?", tools=[WEATHER])
    with pytest.raises(openai.BadRequestError):
        gpt.responses.create(model=model, input="Hi", previous_response_id=asked.id)
    output = [{"type": "function_call_output", "call_id": "call_nobody", "output": "7"}]
    with pytest.raises(openai.BadRequestError):
        gpt.responses.create(model=model, input=output, previous_response_id=asked.id)


@each_platform
def test_a_structured_answer_in_a_conversation(model, gpt):
    first = gpt.responses.create(model=model, input=ADA)
    second = gpt.responses.parse(model=model, input="In Paris?", text_format=Report, previous_response_id=first.id)
    assert second.output_parsed == REPORT
    third = gpt.responses.create(model=model, input="RECALL", previous_response_id=second.id)
    assert third.output_text == recalled(model, [ADA, "In Paris?"], answers=2)


@each_way
@each_platform
def test_encrypted_reasoning_serves_instead_of_a_memory(model, streamed, gpt):
    options = {
        "model": model,
        "tools": [WEATHER],
        "store": False,
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    }
    items = user("In Paris?")
    asked = response_of(gpt, streamed, input=items, **options)
    (call,) = [item for item in asked.output if item.type == "function_call"]
    # What the signature of a call stands in may be an item of its own.
    assert any(item.type == "reasoning" and item.encrypted_content for item in asked.output)
    items += [item.model_dump(exclude_none=True) for item in asked.output]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"})
    answer = response_of(gpt, streamed, input=items, **options)
    assert answer.output_text == tools_said(model, "18 degrees")


@each_way
@each_platform
def test_what_is_not_stored_cannot_be_found(model, streamed, gpt):
    made = response_of(gpt, streamed, model=model, input=ADA, store=False)
    assert made.output_text == said(model, ADA) and made.store is False
    with pytest.raises(openai.NotFoundError):
        gpt.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        gpt.responses.input_items.list(made.id)
    with pytest.raises(openai.APIStatusError) as caught:
        gpt.responses.create(model=model, input=TEA, previous_response_id=made.id)
    assert is_unknown_previous(model, caught)


@each_platform
def test_a_turn_that_is_not_stored_may_continue_one_that_is(model, gpt):
    first = gpt.responses.create(model=model, input=ADA)
    second = gpt.responses.create(model=model, input="RECALL", previous_response_id=first.id, store=False)
    assert second.output_text == recalled(model, [ADA], answers=1)
    with pytest.raises(openai.NotFoundError):
        gpt.responses.retrieve(second.id)
    assert gpt.responses.retrieve(first.id).output_text == first.output_text


@each_way
@each_platform
def test_what_is_retrieved_is_what_was_made(model, streamed, gpt):
    made = response_of(gpt, streamed, model=model, input=ADA, metadata={"topic": "state"}, instructions="Be brief.")
    read = gpt.responses.retrieve(made.id)
    # The stream helper's response has its parsed content beside the text.
    ours = read.model_dump(exclude_none=True)
    theirs = json.loads(made.model_dump_json(exclude_none=True, exclude={"output": {"__all__": {"content": {"__all__": {"parsed"}}}}}))
    assert ours == theirs
    assert read.status == "completed" and read.metadata == {"topic": "state"}
    # OpenRouter's answer passes as it is: it keeps nothing itself.
    assert read.store is (model != PLATFORM_MODELS["openrouter"])
    assert read.usage.total_tokens == made.usage.total_tokens > 0


@each_platform
def test_input_items_are_listed_with_what_came_before(model, gpt):
    first = gpt.responses.create(model=model, input=[{"role": "developer", "content": "Be kind."}, *user(ADA)])
    second = gpt.responses.create(model=model, input=TEA, previous_response_id=first.id)
    page = gpt.responses.input_items.list(second.id, order="asc")
    assert page.object == "list" and not page.has_more
    texts = [item.content[0].text for item in page.data]
    assert texts == ["Be kind.", ADA, said(model, ADA), TEA]
    assert [item.role for item in page.data] == ["developer", "user", "assistant", "user"]
    assert page.data[2].id == first.output[-1].id
    order = [item.id for item in page.data]
    assert len(set(order)) == 4
    # Newest first, a page at a time; the SDK asks for the next ones.
    newest = gpt.responses.input_items.list(second.id, limit=3)
    assert newest.has_more and [item.id for item in newest.data] == order[:0:-1]
    assert [item.id for item in newest] == order[::-1]
    after = gpt.responses.input_items.list(second.id, order="asc", after=order[1])
    assert [item.id for item in after.data] == order[2:]
    with pytest.raises(openai.BadRequestError):
        gpt.responses.input_items.list(second.id, limit=101)


@each_platform
def test_a_deleted_response_is_gone(model, gpt):
    made = gpt.responses.create(model=model, input=ADA)
    follow = gpt.responses.create(model=model, input=TEA, previous_response_id=made.id)
    gpt.responses.delete(made.id)
    for use in [
        gpt.responses.retrieve,
        gpt.responses.delete,
        gpt.responses.cancel,
        gpt.responses.input_items.list,
    ]:
        with pytest.raises(openai.NotFoundError):
            use(made.id)
    with pytest.raises(openai.APIStatusError) as caught:
        gpt.responses.create(model=model, input="Hi", previous_response_id=made.id)
    assert is_unknown_previous(model, caught)
    # What was built on it stands.
    assert gpt.responses.retrieve(follow.id).output_text == said(model, TEA)


@each_way
@each_platform
def test_an_unknown_previous_response_is_said_to_be_one(model, streamed, gpt):
    with pytest.raises(openai.APIStatusError) as caught:
        gpt.responses.create(model=model, input="Hi", previous_response_id="resp_nobody", stream=streamed)
    assert is_unknown_previous(model, caught)
    assert caught.value.param == "previous_response_id" and "resp_nobody" in caught.value.message


def test_an_unknown_response_is_not_found(gpt):
    for use in [
        gpt.responses.retrieve,
        gpt.responses.delete,
        gpt.responses.cancel,
        gpt.responses.input_items.list,
    ]:
        with pytest.raises(openai.NotFoundError):
            use("resp_nobody")


@each_platform
def test_a_conversation_gathers_what_was_said(model, gpt):
    made = gpt.conversations.create(metadata={"topic": "state"}, items=user(ADA))
    assert made.object == "conversation" and made.id.startswith("conv_") and made.metadata == {"topic": "state"}
    first = gpt.responses.create(model=model, input=TEA, conversation=made.id)
    assert TEA in first.output_text
    if model != GPT:
        # What an openai channel says passes as it is, and the conversation is the gateway's.
        assert first.conversation.id == made.id
    second = response_of(gpt, True, model=model, input="RECALL", conversation={"id": made.id})
    # Two turns of a user are one, where the protocol knows no others.
    assert second.output_text.replace("\n", " | ") == recalled(model, [ADA, TEA], answers=1)
    items = list(gpt.conversations.items.list(made.id, order="asc", limit=2))
    assert [item.content[0].text for item in items] == [ADA, TEA, first.output_text, "RECALL", second.output_text]
    with pytest.raises(openai.BadRequestError):
        gpt.responses.create(model=model, input="Hi", conversation=made.id, previous_response_id=first.id)
    with pytest.raises(openai.NotFoundError):
        gpt.responses.create(model=model, input="Hi", conversation="conv_nobody")


@each_platform
def test_a_tool_loop_in_a_conversation(model, gpt):
    made = gpt.conversations.create()
    options = {"model": model, "conversation": made.id, "tools": [WEATHER]}
    asked = gpt.responses.create(input="In Paris?", **options)
    (call,) = [item for item in asked.output if item.type == "function_call"]
    output = [{"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}]
    assert gpt.responses.create(input=output, **options).output_text == tools_said(model, "18 degrees")
    # Signatures of calls stand in reasoning items of their own.
    items = gpt.conversations.items.list(made.id, order="asc")
    kinds = [item.type for item in items if item.type != "reasoning"]
    assert kinds == ["message", "function_call", "function_call_output", "message"]


def test_a_conversation_and_its_items_can_be_changed(gpt):
    made = gpt.conversations.create(items=user(ADA))
    assert gpt.conversations.retrieve(made.id) == made
    assert gpt.conversations.update(made.id, metadata={"topic": "tea"}).metadata == {"topic": "tea"}
    assert gpt.conversations.retrieve(made.id).metadata == {"topic": "tea"}
    added = gpt.conversations.items.create(made.id, items=[*user(TEA), {"role": "assistant", "content": "Good."}])
    assert [item.role for item in added.data] == ["user", "assistant"]
    item = added.data[0]
    assert gpt.conversations.items.retrieve(item.id, conversation_id=made.id).content[0].text == TEA
    assert gpt.conversations.items.delete(item.id, conversation_id=made.id).id == made.id
    with pytest.raises(openai.NotFoundError):
        gpt.conversations.items.retrieve(item.id, conversation_id=made.id)
    texts = [item.content[0].text for item in gpt.conversations.items.list(made.id, order="asc")]
    assert texts == [ADA, "Good."]
    assert gpt.conversations.delete(made.id).deleted
    for use in [gpt.conversations.retrieve, gpt.conversations.delete, gpt.conversations.items.list]:
        with pytest.raises(openai.NotFoundError):
            use(made.id)


@each_platform
def test_a_reference_means_an_earlier_item(model, gpt):
    first = gpt.responses.create(model=model, input=ADA)
    message = first.output[-1]
    items = [*user(TEA), {"type": "item_reference", "id": message.id}, *user("RECALL")]
    answer = gpt.responses.create(model=model, input=items)
    assert answer.output_text == recalled(model, [TEA], answers=1)
    items[1]["id"] = "msg_nobody"
    with pytest.raises(openai.APIStatusError) as caught:
        gpt.responses.create(model=model, input=items)
    assert caught.value.status_code in (400, 404) and "msg_nobody" in caught.value.message


@each_platform
def test_tokens_of_what_came_before_are_counted(model, gpt):
    first = gpt.responses.create(model=model, input=ADA * 50)
    alone = gpt.responses.input_tokens.count(model=model, input=TEA)
    after = gpt.responses.input_tokens.count(model=model, input=TEA, previous_response_id=first.id)
    assert after.input_tokens >= alone.input_tokens + first.usage.input_tokens // 2 > alone.input_tokens
    # The local count of a translated model is an estimate.
    if model == GPT:
        made = gpt.responses.create(model=model, input=TEA, previous_response_id=first.id)
        assert after.input_tokens == made.usage.input_tokens


def test_what_was_compacted_can_be_continued(gpt):
    first = gpt.responses.create(model=GPT, input=ADA)
    folded = gpt.responses.compact(model=GPT, input=TEA, previous_response_id=first.id)
    assert folded.object == "response.compaction" and folded.output[-1].type == "compaction"
    items = [item.model_dump(exclude_none=True) for item in folded.output]
    answer = gpt.responses.create(model=GPT, input=[*items, *user("RECALL")])
    assert answer.output_text == recalled(GPT, [ADA, TEA])


def test_a_conversation_moves_from_platform_to_platform(gpt):
    """Each is sent all that came before, whoever answered. What OpenAI keeps stays with it, so its model is not among them."""
    models = [model for model in PLATFORM_MODELS.values() if model != GPT]
    answer = None
    for at, model in enumerate(models):
        before = {"previous_response_id": answer.id} if answer else {}
        answer = gpt.responses.create(model=model, input=f"turn {at}", **before)
        assert answer.model == model and answer.output_text == said(model, f"turn {at}")
    last = gpt.responses.create(model=models[0], input="RECALL", previous_response_id=answer.id)
    turns = [f"turn {at}" for at in range(len(models))]
    assert last.output_text == recalled(models[0], turns, answers=len(models))
