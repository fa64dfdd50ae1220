"""Models of other vendors on each surface: without translation, each SDK's way to say "not found".

When a surface serves all platforms, these become tests of its answers.
"""

import anthropic
import openai
import pytest
from conftest import anthropic_client, google_client, openai_client
from google.genai import errors

CODES = ("model_not_found", "endpoint_not_found")


@pytest.mark.parametrize("model", ["claude-opus-4-7", "gemini-2.5-flash"])
def test_openai(mount, model):
    message = [{"role": "user", "content": "Hi"}]
    with openai_client(mount) as client:
        for call in (
            lambda: client.chat.completions.create(model=model, messages=message),
            lambda: client.chat.completions.create(model=model, messages=message, stream=True),
            lambda: client.responses.create(model=model, input="Hi"),
        ):
            with pytest.raises(openai.NotFoundError) as caught:
                call()
            assert caught.value.code in CODES
            assert model in caught.value.message


@pytest.mark.parametrize("model", ["gpt-5", "gemini-2.5-flash"])
def test_anthropic(mount, model):
    message = [{"role": "user", "content": "Hi"}]
    with anthropic_client(mount) as client:
        for call in (
            lambda: client.messages.create(model=model, max_tokens=10, messages=message),
            lambda: client.messages.create(model=model, max_tokens=10, messages=message, stream=True),
            lambda: client.messages.count_tokens(model=model, messages=message),
        ):
            with pytest.raises(anthropic.NotFoundError) as caught:
                call()
            assert caught.value.body["error"]["type"] == "not_found_error"
            assert caught.value.body["error"]["code"] in CODES


@pytest.mark.parametrize("model", ["gpt-5", "claude-opus-4-7"])
def test_google(mount, model):
    with google_client(mount) as client:
        for call in (
            lambda: client.models.generate_content(model=model, contents="Hi"),
            lambda: list(client.models.generate_content_stream(model=model, contents="Hi")),
        ):
            with pytest.raises(errors.ClientError) as caught:
                call()
            assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
            assert caught.value.details["error"]["details"][0]["reason"] in CODES
