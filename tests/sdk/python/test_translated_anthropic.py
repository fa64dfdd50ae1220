"""The `anthropic` SDK's Messages on models of every platform: texts, streams, media, structured output, counts, refusals."""

import uuid

import anthropic
import pytest
from conftest import ASK_PARIS, ODD_TEXT, anthropic_client, said, tools_said
from translated import (
    CHANNELS, COMPATIBLE, GEMINI, GEMINI_3, GPT, GPT_4O, MEDIA_TOKENS, PDF_BASE64, PNG_BASE64, REASONER, REFUSED, REPORT,
    ROUTER, WEATHER_SCHEMA, Report, dropped, ids, thought, tokens, user,
)

MODELS = [GPT, GEMINI, GEMINI_3, ROUTER, COMPATIBLE]
SYSTEM = "Be brief."
BUDGET = {"type": "enabled", "budget_tokens": 1024}
WEATHER = {"name": "get_weather", "description": "The weather in a city.", "input_schema": WEATHER_SCHEMA}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}}
PDF_FILE = {
    "type": "document",
    "title": "a.pdf",
    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF_BASE64},
}
CACHE = {"type": "ephemeral"}

each_model = pytest.mark.parametrize("model", MODELS, ids=ids)


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def counts(usage):
    return usage.input_tokens, usage.output_tokens


def input_of(usage):
    """All that was read, from the cache or not."""
    return usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)


@each_model
def test_a_message_has_the_form_and_the_usage_that_the_sdk_knows(mount, model):
    with anthropic_client(mount) as client:
        raw = client.messages.with_raw_response.create(
            model=model, max_tokens=100, system=SYSTEM, messages=user("Hello there")
        )
    assert raw.headers["x-torouter-channel"] == CHANNELS[model]
    assert raw.headers["x-torouter-model"] == model
    assert raw.headers["x-request-id"] == raw.headers["request-id"]
    assert dropped(raw.headers) == []
    message = raw.parse()
    assert (message.type, message.role, message.model) == ("message", "assistant", model)
    assert message.id.startswith("msg_") and message._request_id
    assert [block.type for block in message.content] == ["text"]
    assert text_of(message) == said(model, "Hello there")
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert counts(message.usage) == (tokens(SYSTEM) + tokens("Hello there"), tokens(said(model, "Hello there")))


@each_model
def test_the_events_of_a_stream_come_in_their_order(model, claude):
    options = {"model": model, "max_tokens": 100, "messages": user(ODD_TEXT)}
    whole = claude.messages.create(**options)
    events = [event for event in claude.messages.create(**options, stream=True) if event.type != "ping"]
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"} and len(kinds) > 8
    assert all(event.index == 0 for event in events[1:-2])
    start, last = events[0].message, events[-2]
    assert (start.model, start.role, start.content, start.stop_reason) == (model, "assistant", [], None)
    # Agents read it here: an estimate where the provider says it at the end.
    assert start.usage.input_tokens > 0
    assert "".join(event.delta.text for event in events[2:-3]) == text_of(whole) == said(model, ODD_TEXT)
    assert last.delta.stop_reason == "end_turn"
    assert counts(last.usage) == counts(whole.usage) == (tokens(ODD_TEXT), tokens(said(model, ODD_TEXT)))


@each_model
def test_the_stream_helper_gathers_the_message(model, claude):
    options = {"model": model, "max_tokens": 100, "messages": user("Hello there")}
    with claude.messages.stream(**options) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) > 3
    assert "".join(pieces) == text_of(final) == said(model, "Hello there")
    assert counts(final.usage) == (tokens("Hello there"), tokens(said(model, "Hello there")))
    assert (final.stop_reason, final.model) == ("end_turn", model)


@each_model
def test_a_conversation_keeps_its_turns(model, claude):
    texts = ["Be brief.", "Be kind.", "My name is Ada", "Noted.", "And now?"]
    message = claude.messages.create(
        model=model,
        max_tokens=100,
        system=[{"type": "text", "text": text} for text in texts[:2]],
        messages=[
            *user([{"type": "text", "text": texts[2]}]),
            {"role": "assistant", "content": [{"type": "text", "text": texts[3]}]},
            *user(texts[4]),
        ],
    )
    assert text_of(message) == said(model, texts[4])
    # Two blocks may become one, with something between them.
    assert 0 <= message.usage.input_tokens - sum(map(tokens, texts)) <= 1


@each_model
@pytest.mark.parametrize("block", [PICTURE, PDF_FILE], ids=["picture", "pdf"])
def test_a_picture_and_a_pdf_reach_the_model(model, block, claude):
    content = [block, {"type": "text", "text": "What is this?"}]
    message = claude.messages.create(model=model, max_tokens=100, messages=user(content))
    assert text_of(message) == said(model, "What is this?")
    assert message.usage.input_tokens == tokens("What is this?") + MEDIA_TOKENS


@each_model
def test_a_document_of_plain_text_reaches_the_model(model, claude):
    source = {"type": "text", "media_type": "text/plain", "data": "A document. " * 40}
    content = [{"type": "document", "source": source}, {"type": "text", "text": "What is this?"}]
    message = claude.messages.create(model=model, max_tokens=400, messages=user(content))
    assert "What is this?" in text_of(message)
    assert message.usage.input_tokens > tokens("What is this?") + 80


@each_model
def test_a_schema_comes_back_parsed(model, claude):
    options = {"model": model, "max_tokens": 200, "messages": user(ASK_PARIS), "output_format": Report}
    message = claude.messages.parse(**options)
    assert message.parsed_output == REPORT
    assert message.stop_reason == "end_turn"
    with claude.messages.stream(**options) as stream:
        final = stream.get_final_message()
    assert (final.parsed_output, final.stop_reason) == (REPORT, "end_turn")


@each_model
def test_a_limit_cuts_the_answer(model, claude):
    options = {"model": model, "max_tokens": 2, "messages": user("Hi")}
    message = claude.messages.create(**options)
    with claude.messages.stream(**options) as stream:
        final = stream.get_final_message()
    for one in (message, final):
        assert (text_of(one), one.stop_reason, one.usage.output_tokens) == ("Hello fr", "max_tokens", 2)


@pytest.mark.parametrize("model", [GPT_4O, GEMINI, GEMINI_3, ROUTER, COMPATIBLE], ids=ids)
def test_a_stop_sequence_ends_the_answer_before_it(model, claude):
    message = claude.messages.create(
        model=model, max_tokens=100, messages=user("one two three"), stop_sequences=["never", "two"]
    )
    assert text_of(message) == said(model, "one ")
    # The others do not say which sequence it was, or that it was one.
    assert message.stop_reason in ("end_turn", "stop_sequence")


@each_model
def test_a_refusal_says_that_it_is_one(model, claude):
    options = {"model": model, "max_tokens": 100, "messages": user("REFUSE this")}
    with claude.messages.stream(**options) as stream:
        streamed = stream.get_final_message()
    for message in (claude.messages.create(**options), streamed):
        assert message.stop_reason == "refusal"
        # Gemini sends nothing of what it refuses.
        assert text_of(message) == ("" if model in (GEMINI, GEMINI_3) else REFUSED)


@pytest.mark.parametrize("model", [GPT, GEMINI, GEMINI_3, ROUTER, REASONER], ids=ids)
def test_thinking_is_shown_before_the_answer(model, claude):
    options = {"model": model, "max_tokens": 4000, "messages": user("Think"), "thinking": BUDGET}
    message = claude.messages.create(**options)
    # OpenAI shows nothing of its reasoning in Chat, but counts it.
    expected = ["text"] if model == GPT else ["thinking", "text"]
    assert [block.type for block in message.content] == expected
    assert text_of(message) == said(model, "Think")
    assert message.usage.output_tokens == tokens(thought(model, "Think")) + tokens(said(model, "Think"))
    with claude.messages.stream(**options) as stream:
        pieces = [event.thinking for event in stream if event.type == "thinking"]
        final = stream.get_final_message()
    assert [block.type for block in final.content] == expected
    assert (text_of(final), counts(final.usage)) == (text_of(message), counts(message.usage))
    if model != GPT:
        assert "".join(pieces) == final.content[0].thinking == message.content[0].thinking == thought(model, "Think")


@pytest.mark.parametrize("model", [GEMINI, GEMINI_3, ROUTER], ids=ids)
@pytest.mark.parametrize("how", ["adaptive", "suffix"])
def test_thinking_is_turned_on_in_every_way(model, how, claude):
    options = {"model": model, "thinking": {"type": "adaptive"}} if how == "adaptive" else {"model": f"{model}-thinking"}
    message = claude.messages.create(max_tokens=4000, messages=user("Think"), **options)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert (message.content[0].thinking, text_of(message)) == (thought(model, "Think"), said(model, "Think"))


@each_model
def test_tokens_are_counted_on_every_platform(mount, model):
    def count(text, **options):
        return client.messages.count_tokens(model=model, messages=user(text), **options).input_tokens

    with anthropic_client(mount) as client:
        short, long = count("Count these words"), count("Count these words " * 40)
        assert 2 <= short <= 20 and 80 <= long <= 400
        assert count("Count these words", system="Be brief. " * 40) > short + 60
        assert count("Count these words", tools=[WEATHER]) > short + 10
        if model in (GEMINI, GEMINI_3):  # It counts itself.
            assert short == tokens("Count these words")


@each_model
def test_marks_for_the_cache_are_taken(model, claude):
    message = claude.messages.create(
        model=model,
        max_tokens=100,
        system=[{"type": "text", "text": SYSTEM, "cache_control": CACHE}],
        tools=[{**WEATHER, "cache_control": {**CACHE, "ttl": "1h"}}],
        tool_choice={"type": "none"},
        messages=user([{"type": "text", "text": "Hi", "cache_control": CACHE}]),
    )
    assert text_of(message) == said(model, "Hi")


@each_model
def test_cached_tokens_are_counted_once(model, claude):
    # New words, so that an earlier run has not cached them; these platforms cache by themselves.
    long = f"{uuid.uuid4()} " + "long words " * 2000
    options = {"model": model, "max_tokens": 100, "system": long, "messages": user("Hi")}
    first, second = (claude.messages.create(**options).usage for _ in range(2))
    with claude.messages.stream(**options) as stream:
        streamed = stream.get_final_message().usage
    total = tokens(long) + tokens("Hi")
    assert [input_of(usage) for usage in (first, second, streamed)] == [total] * 3
    assert not first.cache_read_input_tokens
    # By the 128 tokens, all but the last.
    assert second.cache_read_input_tokens == streamed.cache_read_input_tokens == (total - 1) // 128 * 128


@each_model
def test_what_agents_send_along_does_not_stop_them(model, claude):
    message = claude.beta.messages.create(
        model=model,
        max_tokens=100,
        messages=user("Hi"),
        metadata={"user_id": "someone"},
        tools=[],
        betas=["context-management-2025-06-27", "interleaved-thinking-2025-05-14"],
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
    )
    assert text_of(message) == said(model, "Hi")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_does_no_harm_is_left_out_and_named(streamed, claude):
    def left_out(model):
        raw = claude.messages.with_raw_response.create(
            model=model, max_tokens=100, messages=user("Hi"), extra_body={"top_k": 40}, stream=streamed
        )
        answer = raw.parse()
        if streamed:
            deltas = [event.delta.text for event in answer if event.type == "content_block_delta"]
            assert "".join(deltas) == said(model, "Hi")
        else:
            assert text_of(answer) == said(model, "Hi")
        return dropped(raw.headers)

    assert left_out(GPT) == ["top_k"]
    assert left_out(GEMINI) == []


def test_a_tool_that_the_provider_runs_is_refused_where_there_is_none(claude):
    tools = [{"type": "computer_20250124", "name": "computer", "display_width_px": 800, "display_height_px": 600}]
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.beta.messages.create(
            model=GPT, max_tokens=100, messages=user("Hi"), tools=tools, betas=["computer-use-2025-01-24"]
        )
    assert caught.value.body["error"]["type"] == "invalid_request_error"
    assert "tools" in caught.value.body["error"]["message"]


@each_model
def test_mistakes_of_the_client_are_bad_requests(model, claude):
    for streamed in (False, True):
        with pytest.raises(anthropic.BadRequestError) as caught:
            claude.messages.create(model=model, max_tokens=100, messages=[], stream=streamed)
        assert caught.value.body["type"] == "error"
        assert caught.value.body["error"]["type"] == "invalid_request_error"
        assert caught.value.body["request_id"] == caught.value.request_id


def test_a_vendors_prefix_is_dropped_on_its_own_channel(claude):
    message = claude.messages.create(model=f"google/{GEMINI}", max_tokens=100, messages=user("Hi"))
    assert (message.model, text_of(message)) == (f"google/{GEMINI}", said(GEMINI, "Hi"))


@pytest.mark.parametrize("model", MODELS, ids=ids)
def test_the_tool_runner_runs_to_its_end(model, claude):
    asked = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather in a city.

        Args:
            city: Its name.
        """
        asked.append(city)
        return "18 degrees"

    # The client holds the conversation: threads are Anthropic's own.
    runner = claude.beta.messages.tool_runner(
        model=model, max_tokens=100, messages=user(ASK_PARIS), tools=[get_weather], thread=False
    )
    assert text_of(runner.until_done()) == tools_said(model, "18 degrees")
    assert asked == ["Paris"]
