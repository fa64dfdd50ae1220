"""What has no counterpart on a model's platform: each SDK's way to say "not found", and what it is that was not found."""

import anthropic
import openai
import pytest
from conftest import anthropic_client, google_client, openai_client
from google.genai import errors

CLAUDE = "claude-opus-4-7"
GEMINI = "gemini-2.5-flash"
CODES = ("model_not_found", "endpoint_not_found")
SOUND = ("a.wav", b"RIFF", "audio/wav")


@pytest.mark.parametrize(
    "model, endpoint, call",
    [
        # Anthropic has no embeddings.
        (CLAUDE, "embeddings", lambda client, model: client.embeddings.create(model=model, input="one")),
        (CLAUDE, "images", lambda client, model: client.images.generate(model=model, prompt="A pixel")),
        (CLAUDE, "completions", lambda client, model: client.completions.create(model=model, prompt="One")),
        (GEMINI, "completions", lambda client, model: client.completions.create(model=model, prompt="One")),
        (GEMINI, "audio", lambda client, model: client.audio.speech.create(model=model, voice="alloy", input="Hi")),
        (GEMINI, "audio", lambda client, model: client.audio.transcriptions.create(model=model, file=SOUND)),
        (CLAUDE, "audio", lambda client, model: client.audio.translations.create(model=model, file=SOUND)),
        (GEMINI, "moderations", lambda client, model: client.moderations.create(model=model, input="Hi")),
    ],
)
def test_an_endpoint_that_the_platform_lacks_is_not_found_on_openais_surface(mount, model, endpoint, call):
    with openai_client(mount) as client, pytest.raises(openai.NotFoundError) as caught:
        call(client, model)
    assert caught.value.code in CODES
    assert model in caught.value.message and endpoint in caught.value.message.lower()
    assert caught.value.request_id


def test_embeddings_of_claude_are_not_found_on_googles_surface(mount):
    with google_client(mount) as client, pytest.raises(errors.ClientError) as caught:
        client.models.embed_content(model=CLAUDE, contents=["one", "two"])
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    assert caught.value.details["error"]["details"][0]["reason"] in CODES
    assert CLAUDE in caught.value.message and "embed" in caught.value.message.lower()


def test_a_model_that_nobody_has_is_not_found_on_any_surface(mount):
    message = [{"role": "user", "content": "Hi"}]
    with openai_client(mount) as client, pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="claude-nobody", messages=message)
    assert caught.value.code == "model_not_found"
    with anthropic_client(mount) as client, pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.count_tokens(model="gpt-nobody", messages=message)
    assert caught.value.body["error"]["type"] == "not_found_error"
    with google_client(mount) as client, pytest.raises(errors.ClientError) as caught:
        client.models.count_tokens(model="gpt-nobody", contents="Hi")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
