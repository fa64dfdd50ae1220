"""The `google-genai` SDK on models of every platform: texts, streams, chats, media, structured output, counts, refusals."""

import json
import uuid

import pytest
from conftest import ASK_PARIS, KEY, ODD_TEXT, PNG, URL, fetch, google_client, said
from google.genai import errors, types
from pydantic import BaseModel
from translated import (
    CHANNELS, COMPATIBLE, GPT, GPT_4O, MEDIA_TOKENS, OPUS, PDF, REASONER, REFUSED, ROUTER, SONNET, Unit, dropped, ids,
    thought, tokens,
)

MODELS = [GPT, SONNET, OPUS, ROUTER, COMPATIBLE]
SYSTEM = "Be brief."
THINKING = types.ThinkingConfig(thinking_budget=2048, include_thoughts=True)

each_model = pytest.mark.parametrize("model", MODELS, ids=ids)


class Place(BaseModel):
    name: str
    population: int


class Report(BaseModel):
    city: str
    unit: Unit
    places: list[Place]
    sunny: bool


REPORT = Report(city="Paris", unit=Unit.celsius, places=[Place(name="Paris", population=1)], sunny=True)


def config(**options):
    return types.GenerateContentConfig(**options)


def counts(usage):
    return usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count


def parts_of(chunks):
    contents = [chunk.candidates[0].content for chunk in chunks if chunk.candidates]
    return [part for content in contents if content for part in content.parts or []]


def text_of(chunks):
    """All text but thoughts."""
    return "".join(part.text for part in parts_of(chunks) if part.text and not part.thought)


@pytest.mark.parametrize("version", [None, "v1beta"])
@each_model
def test_an_answer_has_the_form_and_the_usage_that_the_sdk_knows(mount, model, version):
    with google_client(mount, version=version) as client:
        answer = client.models.generate_content(
            model=model, contents="Hello there", config=config(system_instruction=SYSTEM)
        )
    assert answer.text == said(model, "Hello there")
    (candidate,) = answer.candidates
    assert (candidate.content.role, candidate.finish_reason) == ("model", types.FinishReason.STOP)
    assert answer.model_version == model and answer.response_id
    prompt, said_tokens = tokens(SYSTEM) + tokens("Hello there"), tokens(answer.text)
    assert counts(answer.usage_metadata) == (prompt, said_tokens, prompt + said_tokens)
    headers = {name.lower(): value for name, value in answer.sdk_http_response.headers.items()}
    assert (headers["x-torouter-channel"], headers["x-torouter-model"]) == (CHANNELS[model], model)
    assert headers["x-request-id"] and dropped(headers) == []


@each_model
def test_a_stream_says_and_counts_what_a_whole_answer_does(model, gemini):
    whole = gemini.models.generate_content(model=model, contents=ODD_TEXT)
    chunks = list(gemini.models.generate_content_stream(model=model, contents=ODD_TEXT))
    assert len(chunks) > 3
    assert text_of(chunks) == whole.text == said(model, ODD_TEXT)
    assert counts(chunks[-1].usage_metadata) == counts(whole.usage_metadata)
    reasons = [chunk.candidates[0].finish_reason for chunk in chunks]
    assert reasons[-1] == types.FinishReason.STOP and not any(reasons[:-1])
    assert {(chunk.response_id, chunk.model_version) for chunk in chunks} == {(chunks[0].response_id, model)}
    assert chunks[0].response_id


@each_model
def test_without_events_a_stream_is_one_json_array(model):
    body = json.dumps({"contents": [{"parts": [{"text": "Hi"}]}]}).encode()
    status, headers, text = fetch(
        f"{URL}/v1beta/models/{model}:streamGenerateContent",
        {"content-type": "application/json", "x-goog-api-key": KEY},
        body,
    )
    assert status == 200 and headers["content-type"].startswith("application/json")
    contents = [one["candidates"][0].get("content", {}) for one in json.loads(text)]
    pieces = [part.get("text", "") for content in contents for part in content.get("parts", [])]
    assert len(pieces) > 3 and "".join(pieces) == said(model, "Hi")


@each_model
def test_a_chat_keeps_its_turns(model, gemini):
    chat = gemini.chats.create(model=model, config=config(system_instruction=SYSTEM))
    texts = ["My name is Ada", "And now?", "So what?"]
    first = chat.send_message(texts[0])
    second = list(chat.send_message_stream(texts[1]))
    third = chat.send_message(texts[2])
    assert [first.text, text_of(second), third.text] == [said(model, text) for text in texts]
    history = [SYSTEM, texts[0], first.text, texts[1], text_of(second), texts[2]]
    # A streamed answer goes back in pieces, which may be counted one by one.
    assert third.usage_metadata.prompt_token_count >= sum(map(tokens, history))


@each_model
@pytest.mark.parametrize(
    "part",
    [types.Part.from_bytes(data=PNG, mime_type="image/png"), types.Part.from_bytes(data=PDF, mime_type="application/pdf")],
    ids=["picture", "pdf"],
)
def test_a_picture_and_a_pdf_reach_the_model(model, part, gemini):
    answer = gemini.models.generate_content(model=model, contents=[part, "What is this?"])
    assert answer.text == said(model, "What is this?")
    assert answer.usage_metadata.prompt_token_count == tokens("What is this?") + MEDIA_TOKENS


@each_model
def test_a_schema_comes_back_parsed(model, gemini):
    # The SDK writes the schema's types in capitals, and hands a plain JSON schema on as it is.
    own = config(response_mime_type="application/json", response_schema=Report)
    plain = config(response_mime_type="application/json", response_json_schema=Report.model_json_schema())
    answer = gemini.models.generate_content(model=model, contents=ASK_PARIS, config=own)
    assert answer.parsed == REPORT
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP and not answer.function_calls
    free = gemini.models.generate_content(model=model, contents=ASK_PARIS, config=plain)
    assert Report.model_validate_json(free.text) == REPORT
    chunks = list(gemini.models.generate_content_stream(model=model, contents=ASK_PARIS, config=own))
    assert Report.model_validate_json(text_of(chunks)) == REPORT


@each_model
def test_json_mode_gives_a_json_object(model, gemini):
    answer = gemini.models.generate_content(
        model=model, contents=ASK_PARIS, config=config(response_mime_type="application/json")
    )
    written = json.loads(answer.text)
    # Anthropic's simulator has no word for "any object": it makes the least of the schema that it is given.
    assert isinstance(written, dict) if model in (SONNET, OPUS) else written == {"answer": "Paris"}


@each_model
def test_a_limit_cuts_the_answer(model, gemini):
    answer = gemini.models.generate_content(model=model, contents="Hi", config=config(max_output_tokens=2))
    assert (answer.text, answer.candidates[0].finish_reason) == ("Hello fr", types.FinishReason.MAX_TOKENS)
    assert answer.usage_metadata.candidates_token_count == 2


@pytest.mark.parametrize("model", [GPT_4O, SONNET, OPUS, ROUTER, COMPATIBLE], ids=ids)
def test_a_stop_sequence_ends_the_answer_before_it(model, gemini):
    answer = gemini.models.generate_content(
        model=model, contents="one two three", config=config(stop_sequences=["never", "two"])
    )
    assert (answer.text, answer.candidates[0].finish_reason) == (said(model, "one "), types.FinishReason.STOP)


@each_model
def test_a_refusal_is_no_ordinary_answer(model, gemini):
    whole = gemini.models.generate_content(model=model, contents="REFUSE this")
    chunks = list(gemini.models.generate_content_stream(model=model, contents="REFUSE this"))
    for answer in (whole, chunks[-1]):
        assert answer.candidates[0].finish_reason == types.FinishReason.SAFETY
    assert text_of([whole]) == text_of(chunks) == REFUSED


@pytest.mark.parametrize("model", [GPT, SONNET, OPUS, ROUTER, REASONER], ids=ids)
def test_thoughts_are_shown_when_asked_for(model, gemini):
    whole = gemini.models.generate_content(model=model, contents="Think", config=config(thinking_config=THINKING))
    chunks = list(
        gemini.models.generate_content_stream(model=model, contents="Think", config=config(thinking_config=THINKING))
    )
    assert whole.text == text_of(chunks) == said(model, "Think")
    for answer in ([whole], chunks):
        thoughts = "".join(part.text for part in parts_of(answer) if part.thought and part.text)
        # OpenAI shows nothing of its reasoning in Chat, but counts it.
        assert thoughts == ("" if model == GPT else thought(model, "Think"))
        usage = answer[-1].usage_metadata
        made = usage.candidates_token_count + (usage.thoughts_token_count or 0)
        assert made == tokens(thought(model, "Think")) + tokens(said(model, "Think"))
        assert usage.total_token_count == usage.prompt_token_count + made
        if model not in (SONNET, OPUS):  # Anthropic does not say how much of the output was thinking.
            assert usage.thoughts_token_count == tokens(thought(model, "Think"))


@pytest.mark.parametrize("model", [SONNET, OPUS, ROUTER], ids=ids)
def test_thoughts_are_not_shown_when_nobody_asked_for_them(model, gemini):
    budget = types.ThinkingConfig(thinking_budget=2048)
    answer = gemini.models.generate_content(model=model, contents="Think", config=config(thinking_config=budget))
    assert not any(part.thought and part.text for part in answer.candidates[0].content.parts)
    assert answer.text == said(model, "Think")
    # It did think.
    usage = answer.usage_metadata
    made = usage.candidates_token_count + (usage.thoughts_token_count or 0)
    assert made == tokens(thought(model, "Think")) + tokens(said(model, "Think"))


@each_model
def test_tokens_are_counted_on_every_platform(mount, model):
    with google_client(mount) as client:
        short, long = (
            client.models.count_tokens(model=model, contents=text).total_tokens
            for text in ("Count these words", "Count these words " * 40)
        )
    assert 2 <= short <= 20 and 80 <= long <= 400
    if model in (SONNET, OPUS):  # It counts itself.
        assert short == tokens("Count these words")


@pytest.mark.parametrize("model", [GPT, ROUTER, COMPATIBLE], ids=ids)
def test_cached_tokens_are_counted_once(model, gemini):
    # New words, so that an earlier run has not cached them; these platforms cache by themselves.
    long = f"{uuid.uuid4()} " + "long words " * 2000
    options = {"model": model, "contents": "Hi", "config": config(system_instruction=long)}
    first, second = (gemini.models.generate_content(**options).usage_metadata for _ in range(2))
    streamed = list(gemini.models.generate_content_stream(**options))[-1].usage_metadata
    assert counts(first) == counts(second) == counts(streamed)
    assert first.prompt_token_count == tokens(long) + tokens("Hi") and not first.cached_content_token_count
    # By the 128 tokens, all but the last.
    cached = (first.prompt_token_count - 1) // 128 * 128
    assert second.cached_content_token_count == streamed.cached_content_token_count == cached


def test_what_does_no_harm_is_left_out_and_named(gemini):
    def left_out(model):
        answer = gemini.models.generate_content(model=model, contents="Hi", config=config(top_k=40))
        assert answer.text == said(model, "Hi")
        return dropped(answer.sdk_http_response.headers)

    (name,) = left_out(GPT)
    assert name.endswith("topK")
    assert left_out(SONNET) == []


@pytest.mark.parametrize("name, options", [("logprobs", {"response_logprobs": True}), ("candidate", {"candidate_count": 2})])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_changes_the_meaning_is_refused_by_its_name(streamed, name, options, gemini):
    call = gemini.models.generate_content_stream if streamed else gemini.models.generate_content
    with pytest.raises(errors.ClientError) as caught:
        list(call(model=SONNET, contents="Hi", config=config(**options)))
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    assert name in caught.value.message.lower()


@each_model
def test_mistakes_of_the_client_are_bad_requests(model):
    # The SDK itself sends no request without contents.
    status, _, text = fetch(
        f"{URL}/v1beta/models/{model}:generateContent",
        {"content-type": "application/json", "x-goog-api-key": KEY},
        b'{"contents": []}',
    )
    error = json.loads(text)["error"]
    assert (status, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert error["message"]


def test_the_snake_case_of_other_clients_is_understood():
    body = {
        "system_instruction": {"parts": [{"text": SYSTEM}]},
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generation_config": {"max_output_tokens": 2},
    }
    status, _, text = fetch(
        f"{URL}/v1beta/models/{SONNET}:generateContent",
        {"content-type": "application/json", "x-goog-api-key": KEY},
        json.dumps(body).encode(),
    )
    answer = json.loads(text)
    assert status == 200
    assert answer["candidates"][0]["content"]["parts"][0]["text"] == "Hello fr"
    assert answer["usageMetadata"]["promptTokenCount"] == tokens(SYSTEM) + tokens("Hi")
