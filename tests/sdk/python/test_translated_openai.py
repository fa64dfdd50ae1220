"""The `openai` SDK's Chat Completions on models of every platform: texts, streams, media, structured output, refusals."""

import json
import uuid

import openai
import pytest
from conftest import ASK_PARIS, ODD_TEXT, openai_client, said
from translated import (
    CHANNELS, COMPATIBLE, GEMINI, GEMINI_3, GPT, MEDIA_TOKENS, OPUS, PDF_BASE64, PNG_BASE64, REFUSED, REPORT, ROUTER,
    SONNET, Report, dropped, ids, is_recent, thought, tokens, user,
)

# A channel of another protocol: the gateway translates.
TRANSLATED = [SONNET, OPUS, GEMINI, GEMINI_3]
# The last two speak the client's own; a user sees no difference.
MODELS = [*TRANSLATED, ROUTER, COMPATIBLE]
SYSTEM = "Be brief."

each_model = pytest.mark.parametrize("model", MODELS, ids=ids)
each_translated = pytest.mark.parametrize("model", TRANSLATED, ids=ids)


def counts(usage):
    return usage.prompt_tokens, usage.completion_tokens, usage.total_tokens


def expected_counts(prompt, answer):
    return prompt, tokens(answer), prompt + tokens(answer)


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


@each_model
def test_an_answer_has_the_form_and_the_usage_that_the_sdk_knows(mount, model):
    messages = [{"role": "system", "content": SYSTEM}, *user("Hello there")]
    with openai_client(mount) as client:
        raw = client.chat.completions.with_raw_response.create(model=model, messages=messages)
    assert raw.headers["x-torouter-channel"] == CHANNELS[model]
    assert raw.headers["x-torouter-model"] == model
    assert dropped(raw.headers) == []
    answer = raw.parse()
    assert (answer.object, answer.model) == ("chat.completion", model)
    assert is_recent(answer.created) and answer._request_id
    (choice,) = answer.choices
    assert (choice.index, choice.finish_reason) == (0, "stop")
    assert (choice.message.role, choice.message.content) == ("assistant", said(model, "Hello there"))
    assert choice.message.tool_calls is None and choice.message.refusal is None
    assert counts(answer.usage) == expected_counts(tokens(SYSTEM) + tokens("Hello there"), said(model, "Hello there"))
    if model in TRANSLATED:
        assert answer.id.startswith("chatcmpl-")


@each_model
def test_a_stream_says_and_counts_what_a_whole_answer_does(model, gpt):
    options = {"model": model, "messages": user(ODD_TEXT)}
    whole = gpt.chat.completions.create(**options)
    stream = gpt.chat.completions.create(**options, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    assert text_of(chunks) == whole.choices[0].message.content == said(model, ODD_TEXT)
    assert len([chunk for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]) > 3
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}) == 1
    assert (chunks[0].model, chunks[0].object) == (model, "chat.completion.chunk")
    (usage,) = [chunk.usage for chunk in chunks if chunk.usage]
    assert counts(usage) == counts(whole.usage) == expected_counts(tokens(ODD_TEXT), said(model, ODD_TEXT))
    assert chunks[-1].usage
    if model in TRANSLATED:
        assert chunks[0].choices[0].delta.role == "assistant"
        assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
        assert chunks[-1].choices == [] and chunks[-2].choices[0].finish_reason == "stop"


@each_translated
def test_a_stream_that_did_not_ask_for_usage_has_none(model, gpt):
    chunks = list(gpt.chat.completions.create(model=model, messages=user("Hi"), stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert text_of(chunks) == said(model, "Hi")


@each_model
def test_the_stream_helper_gathers_the_answer(model, gpt):
    options = {"model": model, "messages": user("Hello there"), "stream_options": {"include_usage": True}}
    with gpt.chat.completions.stream(**options) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(deltas) == final.choices[0].message.content == said(model, "Hello there")
    assert final.choices[0].finish_reason == "stop"
    assert counts(final.usage) == expected_counts(tokens("Hello there"), said(model, "Hello there"))


@each_model
def test_a_conversation_keeps_its_turns(model, gpt):
    messages = [
        {"role": "developer", "content": SYSTEM},
        *user("My name is Ada"),
        {"role": "assistant", "content": "Noted."},
        *user([{"type": "text", "text": "And now?"}]),
    ]
    answer = gpt.chat.completions.create(model=model, messages=messages)
    assert answer.choices[0].message.content == said(model, "And now?")
    assert answer.usage.prompt_tokens == sum(map(tokens, [SYSTEM, "My name is Ada", "Noted.", "And now?"]))


@each_model
@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_BASE64}"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF_BASE64}"}},
    ],
    ids=["picture", "pdf"],
)
def test_a_picture_and_a_pdf_reach_the_model(model, part, gpt):
    parts = [{"type": "text", "text": "What is this?"}, part]
    answer = gpt.chat.completions.create(model=model, messages=user(parts))
    assert answer.choices[0].message.content == said(model, "What is this?")
    assert answer.usage.prompt_tokens == tokens("What is this?") + MEDIA_TOKENS


def test_a_picture_by_its_url_reaches_a_model_that_takes_urls(gpt):
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    answer = gpt.chat.completions.create(model=SONNET, messages=user(parts))
    assert answer.usage.prompt_tokens == tokens("What is this?") + MEDIA_TOKENS
    answer = gpt.chat.completions.create(model=GEMINI, messages=user(parts))
    assert answer.usage.prompt_tokens == tokens("What is this?") + MEDIA_TOKENS


def test_audio_reaches_a_model_that_hears_and_is_refused_for_one_that_does_not(gpt):
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "input_audio", "input_audio": {"data": "UklGRiQAAABXQVZF", "format": "wav"}},
    ]
    answer = gpt.chat.completions.create(model=GEMINI, messages=user(parts))
    assert answer.usage.prompt_tokens == tokens("What is this?") + MEDIA_TOKENS
    with pytest.raises(openai.BadRequestError) as caught:
        gpt.chat.completions.create(model=SONNET, messages=user(parts))
    assert caught.value.code == "unsupported_parameter"
    assert "audio" in caught.value.param


@each_model
def test_a_schema_comes_back_parsed(model, gpt):
    options = {"model": model, "messages": user(ASK_PARIS), "response_format": Report}
    answer = gpt.chat.completions.parse(**options)
    assert answer.choices[0].message.parsed == REPORT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.tool_calls is None
    with gpt.chat.completions.stream(**options) as stream:
        final = stream.get_final_completion().choices[0]
    assert (final.message.parsed, final.finish_reason) == (REPORT, "stop")


@each_model
def test_json_mode_gives_a_json_object(model, gpt):
    options = {"model": model, "messages": user(ASK_PARIS), "response_format": {"type": "json_object"}}
    answer = gpt.chat.completions.create(**options).choices[0]
    written = json.loads(answer.message.content)
    # Anthropic's simulator has no word for "any object": it makes the least of the schema that it is given.
    assert isinstance(written, dict) if model in (SONNET, OPUS) else written == {"answer": "Paris"}
    assert answer.finish_reason == "stop" and answer.message.tool_calls is None
    assert text_of(gpt.chat.completions.create(**options, stream=True)) == answer.message.content


@each_model
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_under_either_name_cuts_the_answer(model, name, gpt):
    options = {"model": model, "messages": user("Hi"), name: 2}
    answer = gpt.chat.completions.create(**options)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Hello fr", "length")
    assert answer.usage.completion_tokens == 2
    chunks = list(gpt.chat.completions.create(**options, stream=True))
    assert text_of(chunks) == "Hello fr"
    assert "length" in [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]


@each_model
@pytest.mark.parametrize("stop", ["two", ["never", "two"]], ids=["one", "several"])
def test_a_stop_sequence_ends_the_answer_before_it(model, stop, gpt):
    answer = gpt.chat.completions.create(model=model, messages=user("one two three"), stop=stop)
    assert answer.choices[0].message.content == said(model, "one ")
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", [SONNET, GEMINI, COMPATIBLE])
def test_sampling_is_taken(model, gpt):
    raw = gpt.chat.completions.with_raw_response.create(model=model, messages=user("Hi"), temperature=0.5)
    assert raw.parse().choices[0].message.content == said(model, "Hi")
    assert dropped(raw.headers) == []


@each_model
def test_a_refusal_is_no_ordinary_answer(model, gpt):
    options = {"model": model, "messages": user("REFUSE this")}
    whole = gpt.chat.completions.create(**options).choices[0]
    # The helper raises when an answer was filtered.
    choices = [c.choices[0] for c in gpt.chat.completions.create(**options, stream=True) if c.choices]
    refusal = "".join(choice.delta.refusal or "" for choice in choices)
    content = "".join(choice.delta.content or "" for choice in choices)
    assert (refusal, content) == (whole.message.refusal or "", whole.message.content or "")
    assert {choice.finish_reason for choice in choices} == {None, whole.finish_reason}
    assert refusal or whole.finish_reason == "content_filter"
    # Gemini sends nothing of what it refuses.
    assert (refusal or content) == ("" if model in (GEMINI, GEMINI_3) else REFUSED)


@pytest.mark.parametrize("model", [*TRANSLATED, COMPATIBLE])
def test_reasoning_is_shown_beside_the_answer(model, gpt):
    options = {"model": model, "messages": user("Think"), "reasoning_effort": "high"}
    answer = gpt.chat.completions.create(**options)
    message = answer.choices[0].message
    assert (message.reasoning_content, message.content) == (thought(model, "Think"), said(model, "Think"))
    assert answer.usage.completion_tokens == tokens(thought(model, "Think")) + tokens(said(model, "Think"))
    if model not in (SONNET, OPUS):  # Anthropic does not say how much of the output was thinking.
        assert answer.usage.completion_tokens_details.reasoning_tokens == tokens(thought(model, "Think"))
    chunks = list(gpt.chat.completions.create(**options, stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == message.reasoning_content
    assert text_of(chunks) == message.content
    assert counts(chunks[-1].usage) == counts(answer.usage)


@each_translated
def test_the_thinking_suffix_turns_reasoning_on(model, gpt):
    raw = gpt.chat.completions.with_raw_response.create(model=f"{model}-thinking", messages=user("Think"))
    assert raw.headers["x-torouter-model"] == model
    message = raw.parse().choices[0].message
    assert (message.reasoning_content, message.content) == (thought(model, "Think"), said(model, "Think"))


def test_a_small_limit_lowers_the_budget_of_thinking_below_it(gpt):
    # Anthropic refuses a budget that is not smaller than the limit.
    answer = gpt.chat.completions.create(
        model=SONNET, messages=user("Think"), reasoning_effort="high", max_completion_tokens=4000
    )
    assert answer.choices[0].message.content == said(SONNET, "Think")
    assert answer.choices[0].message.reasoning_content == thought(SONNET, "Think")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_changes_the_meaning_is_refused_by_its_name(streamed, gpt):
    for name, value in [("logprobs", True), ("n", 2)]:
        with pytest.raises(openai.BadRequestError) as caught:
            gpt.chat.completions.create(model=SONNET, messages=user("Hi"), stream=streamed, **{name: value})
        assert (caught.value.code, caught.value.param) == ("unsupported_parameter", name)
        assert name in caught.value.message and caught.value.request_id


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_does_no_harm_is_left_out_and_named(streamed, gpt):
    def left_out(model):
        raw = gpt.chat.completions.with_raw_response.create(
            model=model, messages=user("Hi"), seed=7, stream=streamed
        )
        answer = raw.parse()
        assert (text_of(answer) if streamed else answer.choices[0].message.content) == said(model, "Hi")
        return dropped(raw.headers)

    assert left_out(SONNET) == ["seed"]
    assert left_out(GEMINI) == []


def test_mistakes_of_the_client_are_bad_requests(gpt):
    for model in (SONNET, GEMINI):
        with pytest.raises(openai.BadRequestError) as caught:
            gpt.chat.completions.create(model=model, messages=[])
        assert caught.value.type == "invalid_request_error"


def test_a_temperature_beyond_the_platforms_is_lowered_and_named(gpt):
    raw = gpt.chat.completions.with_raw_response.create(model=SONNET, messages=user("Hi"), temperature=1.7)
    assert dropped(raw.headers) == ["temperature"]


def test_a_vendors_prefix_is_dropped_on_its_own_channel(gpt):
    for model in (f"anthropic/{SONNET}", f"google/{GEMINI}"):
        answer = gpt.chat.completions.create(model=model, messages=user("Hi"))
        assert answer.model == model
        assert answer.choices[0].message.content == said(model.split("/")[1], "Hi")


@pytest.mark.parametrize("model", [GEMINI, SONNET])
def test_cached_tokens_are_counted_once(model, gpt):
    # New words, so that an earlier run has not cached them.
    long = f"{uuid.uuid4()} " + "long words " * 2000
    # Gemini caches by itself, Anthropic where it is told to.
    system = {"type": "text", "text": long, **({"cache_control": {"type": "ephemeral"}} if model == SONNET else {})}
    options = {"model": model, "messages": [{"role": "system", "content": [system]}, *user("Hi")]}
    first = gpt.chat.completions.create(**options).usage
    second = gpt.chat.completions.create(**options).usage
    last = list(gpt.chat.completions.create(**options, stream=True, stream_options={"include_usage": True}))[-1].usage
    assert counts(first) == counts(second) == counts(last)
    assert first.prompt_tokens == tokens(long) + tokens("Hi")
    assert not (first.prompt_tokens_details and first.prompt_tokens_details.cached_tokens)
    # Gemini caches by the 128 tokens, all but the last.
    cached = tokens(long) if model == SONNET else (first.prompt_tokens - 1) // 128 * 128
    assert second.prompt_tokens_details.cached_tokens == last.prompt_tokens_details.cached_tokens == cached


def test_the_same_question_costs_the_same_in_the_models_own_api(gpt, claude, gemini):
    chat = gpt.chat.completions.create(model=SONNET, messages=user("Hello there")).usage
    own = claude.messages.create(model=SONNET, max_tokens=100, messages=user("Hello there")).usage
    assert (chat.prompt_tokens, chat.completion_tokens) == (own.input_tokens, own.output_tokens)
    chat = gpt.chat.completions.create(model=GEMINI, messages=user("Hello there")).usage
    own = gemini.models.generate_content(model=GEMINI, contents="Hello there").usage_metadata
    assert counts(chat) == (own.prompt_token_count, own.candidates_token_count, own.total_token_count)
    assert gpt.chat.completions.create(model=GPT, messages=user("Hello there")).usage.prompt_tokens == chat.prompt_tokens
