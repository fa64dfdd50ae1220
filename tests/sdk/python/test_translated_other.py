"""Embeddings and pictures over translation."""

import base64

import openai
import pytest
from conftest import google_client, openai_client
from google.genai import types
from translated import GEMINI, SONNET, tokens

GOOGLES = "gemini-embedding-001"
OPENAIS = "text-embedding-3-small"
TEXTS = ["one", "two words", "three"]


def close(one, other):
    return one == pytest.approx(other, abs=1e-6)


def test_the_openai_sdk_embeds_on_gemini(mount, gemini):
    own = gemini.models.embed_content(model=GOOGLES, contents=TEXTS).embeddings
    with openai_client(mount) as client:
        # The SDK asks for base64 unless told otherwise, and decodes it.
        packed = client.embeddings.create(model=GOOGLES, input=TEXTS)
        plain = client.embeddings.create(model=GOOGLES, input=TEXTS, encoding_format="float")
    for answer in (packed, plain):
        assert (answer.object, answer.model) == ("list", GOOGLES)
        assert [(item.index, item.object, len(item.embedding)) for item in answer.data] == [
            (index, "embedding", 3072) for index in range(len(TEXTS))
        ]
        # All of a batch, in their order.
        assert all(close(item.embedding, one.values) for item, one in zip(answer.data, own, strict=True))
        assert answer.usage.prompt_tokens == answer.usage.total_tokens == sum(map(tokens, TEXTS))


def test_the_openai_sdk_embeds_one_text_in_few_dimensions_on_gemini(gpt, gemini):
    options = types.EmbedContentConfig(output_dimensionality=256)
    own = gemini.models.embed_content(model=GOOGLES, contents="one", config=options).embeddings[0].values
    answer = gpt.embeddings.create(model=GOOGLES, input="one", dimensions=256)
    assert len(own) == 256 and close(answer.data[0].embedding, own)
    raw = gpt.embeddings.create(model=GOOGLES, input="one", dimensions=256, encoding_format="base64")
    assert len(base64.b64decode(raw.data[0].embedding)) == 256 * 4


def test_tokens_cannot_be_embedded_by_another_vendors_model(gpt):
    for numbers in ([1, 2, 3], [[1, 2], [3]]):
        with pytest.raises(openai.BadRequestError) as caught:
            gpt.embeddings.create(model=GOOGLES, input=numbers)
        assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "input")


def test_the_google_sdk_embeds_on_openai(mount, gpt):
    own = gpt.embeddings.create(model=OPENAIS, input=TEXTS).data
    short = gpt.embeddings.create(model=OPENAIS, input="one", dimensions=256).data[0].embedding
    with google_client(mount) as client:
        answer = client.models.embed_content(model=OPENAIS, contents=TEXTS)
        one = client.models.embed_content(
            model=OPENAIS, contents="one", config=types.EmbedContentConfig(output_dimensionality=256)
        )
    assert [len(item.values) for item in answer.embeddings] == [1536] * len(TEXTS)
    assert all(close(item.values, other.embedding) for item, other in zip(answer.embeddings, own, strict=True))
    assert [len(item.values) for item in one.embeddings] == [256] and close(one.embeddings[0].values, short)


def test_the_openai_sdk_draws_on_gemini(mount):
    with openai_client(mount) as client:
        answer = client.images.generate(model=GEMINI, prompt="A white pixel")
    (picture,) = answer.data
    assert base64.b64decode(picture.b64_json).startswith(b"\x89PNG\r\n\x1a\n")
    assert answer.usage.input_tokens == tokens("A white pixel")


def test_a_picture_with_a_url_is_refused_where_there_is_none(gpt):
    with pytest.raises(openai.BadRequestError) as caught:
        gpt.images.generate(model=GEMINI, prompt="A white pixel", response_format="url")
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "response_format")


def test_claude_draws_nothing(gpt):
    with pytest.raises(openai.NotFoundError):
        gpt.images.generate(model=SONNET, prompt="A white pixel")
