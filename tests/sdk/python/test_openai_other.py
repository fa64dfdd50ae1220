"""The `openai` SDK: embeddings, images, audio, moderations, legacy completions, models, rerank."""

import base64
import io

import openai
import pytest
from conftest import PNG, openai_client, said

PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def test_embeddings(mount):
    texts = ["one", "two"]
    with openai_client(mount) as client:
        # The SDK asks for base64 unless told otherwise, and decodes it.
        packed = client.embeddings.create(model="text-embedding-3-small", input=texts)
        plain = client.embeddings.create(model="text-embedding-3-small", input=texts, encoding_format="float")
    assert [len(item.embedding) for item in packed.data] == [1536, 1536]
    assert [item.index for item in packed.data] == [0, 1]
    for one, other in zip(packed.data, plain.data):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        assert sum(value * value for value in one.embedding) == pytest.approx(1.0, abs=1e-3)
    assert packed.data[0].embedding != packed.data[1].embedding
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > 0


def test_embeddings_with_dimensions(gpt):
    answer = gpt.embeddings.create(model="text-embedding-3-large", input="one", dimensions=256)
    assert len(answer.data[0].embedding) == 256
    raw = gpt.embeddings.create(
        model="text-embedding-3-large", input="one", dimensions=256, encoding_format="base64"
    )
    assert len(base64.b64decode(raw.data[0].embedding)) == 256 * 4
    tokens = gpt.embeddings.create(model="text-embedding-3-small", input=[1, 2, 3])
    assert len(tokens.data) == 1


def test_image(mount):
    with openai_client(mount) as client:
        answer = client.images.generate(model="gpt-image-1", prompt="A white pixel", n=2)
    assert len(answer.data) == 2
    assert base64.b64decode(answer.data[0].b64_json).startswith(PNG_HEAD)
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0


def test_image_edit(mount):
    with openai_client(mount) as client:
        one = client.images.edit(model="gpt-image-1", image=("a.png", io.BytesIO(PNG), "image/png"), prompt="Darker")
        more = client.images.edit(
            model="gpt-image-1",
            image=[("a.png", PNG, "image/png"), ("b.png", PNG, "image/png")],
            mask=("mask.png", PNG, "image/png"),
            prompt="Darker",
            n=2,
        )
    assert base64.b64decode(one.data[0].b64_json).startswith(PNG_HEAD)
    assert one.usage.input_tokens_details.image_tokens > 0
    assert len(more.data) == 2
    assert more.usage.input_tokens_details.image_tokens == 2 * one.usage.input_tokens_details.image_tokens


def test_image_edit_errors(gpt):
    picture = ("a.png", PNG, "image/png")
    with pytest.raises(openai.NotFoundError) as caught:
        gpt.images.edit(model="nobodys-model", image=picture, prompt="Darker")
    assert caught.value.code == "model_not_found"
    with openai_client(key="sk-wrong") as client, pytest.raises(openai.AuthenticationError):
        client.images.edit(model="gpt-image-1", image=picture, prompt="Darker")


def test_speech(gpt):
    answer = gpt.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="Say this", response_format="wav")
    whole = answer.read()
    assert whole[:4] == b"RIFF" and whole[8:12] == b"WAVE"
    assert int.from_bytes(whole[4:8], "little") == len(whole) - 8
    with gpt.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="Say this", response_format="wav"
    ) as stream:
        assert stream.headers["content-type"] == "audio/wav"
        assert b"".join(stream.iter_bytes()) == whole


def test_transcription(mount):
    sound = bytes(range(256)) * 20
    expected = f"Hello from whisper-1. The audio has {len(sound)} bytes."
    with openai_client(mount) as client:
        answer = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", sound, "audio/wav"))
        text = client.audio.transcriptions.create(
            model="whisper-1", file=("a.wav", sound, "audio/wav"), response_format="text"
        )
        english = client.audio.translations.create(model="whisper-1", file=("a.wav", sound, "audio/wav"))
    assert answer.text == english.text == expected
    assert text.strip() == expected
    assert answer.usage.total_tokens > 0


def test_moderation(gpt):
    answer = gpt.moderations.create(model="omni-moderation-latest", input=["a kind word", "REFUSE this"])
    assert [result.flagged for result in answer.results] == [False, True]
    assert answer.results[1].categories.illicit is True
    assert answer.results[1].category_scores.illicit > 0.5


def test_legacy_completion(gpt):
    model = "gpt-3.5-turbo-instruct"
    whole = gpt.completions.create(model=model, prompt="Once upon a time", max_tokens=100)
    assert whole.choices[0].text == said(model, "Once upon a time")
    assert whole.choices[0].finish_reason == "stop"
    chunks = list(
        gpt.completions.create(
            model=model,
            prompt="Once upon a time",
            max_tokens=100,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    deltas = [chunk.choices[0].text for chunk in chunks if chunk.choices]
    assert len(deltas) > 3 and "".join(deltas) == whole.choices[0].text
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens > 0
    cut = gpt.completions.create(model=model, prompt="Once upon a time " * 20)
    assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 16)


def test_models(mount):
    with openai_client(mount) as client:
        models = client.models.list().data
        ids = [model.id for model in models]
        assert len(ids) == len(set(ids))
        assert {"gpt-5", "claude-opus-4-7", "gemini-2.5-flash", "anthropic/claude-opus-4.7"} <= set(ids)
        assert all(model.object == "model" for model in models)
        assert client.models.retrieve("gpt-5").id == "gpt-5"
        assert client.models.retrieve("claude-opus-4-7").id == "claude-opus-4-7"
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("nobodys-model")
        assert caught.value.code == "model_not_found"
    with openai_client(mount, key="sk-wrong") as client, pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_a_slash_that_is_escaped_is_no_slash(gpt):
    # The SDK writes it as %2F, and paths are matched as they stand.
    with pytest.raises(openai.NotFoundError):
        gpt.models.retrieve("anthropic/claude-opus-4.7")


def test_rerank(gpt):
    # Not in OpenAI's API, so not in its SDK.
    body = {"model": "rerank-1", "query": "red apple", "documents": ["a blue car", "a red apple"], "top_n": 1}
    answer = gpt.post("/rerank", cast_to=object, body=body)
    assert [result["index"] for result in answer["results"]] == [1]


def test_an_endpoint_that_the_platform_lacks(gpt):
    with pytest.raises(openai.NotFoundError) as caught:
        gpt.embeddings.create(model="claude-opus-4-7", input="one")
    assert caught.value.code in ("model_not_found", "endpoint_not_found")
