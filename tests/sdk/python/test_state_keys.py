"""The `openai` SDK: what one key made, no other key may see, neither of its own group nor of another."""

import openai
import pytest
from stand import PLATFORMS, Stand


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    stand = Stand(tmp_path_factory.mktemp("state"))
    for platform in PLATFORMS:
        stand.model(f"m-{platform}", (platform, ""))
    stand.head = f'[store]\nurl = "sqlite:{stand.folder}/state.db"\n'
    secrets = [stand.key("neighbour"), stand.key("stranger", group="other")]
    try:
        stand.start()
        stand.others = [stand.client(secret) for secret in secrets]
        yield stand
    finally:
        stand.stop()


each_platform = pytest.mark.parametrize("platform", PLATFORMS)
each_other = pytest.mark.parametrize("other", [0, 1], ids=["neighbour", "stranger"])


@each_other
@each_platform
def test_a_response_is_its_keys_alone(platform, other, stand):
    model, other = f"m-{platform}", stand.others[other]
    made = stand.openai.responses.create(model=model, input="I am Ada")
    for use in [
        other.responses.retrieve,
        other.responses.delete,
        other.responses.cancel,
        other.responses.input_items.list,
    ]:
        with pytest.raises(openai.NotFoundError):
            use(made.id)
    with pytest.raises(openai.NotFoundError):
        list(other.responses.retrieve(made.id, stream=True))
    with pytest.raises(openai.APIStatusError) as caught:
        other.responses.create(model=model, input="RECALL", previous_response_id=made.id)
    # OpenAI's own word for an unknown one is 400: whose it is must not show in the status.
    assert caught.value.status_code in ((400, 404) if platform == "openai" else (404,))
    assert caught.value.code == "previous_response_not_found" and "Ada" not in str(caught.value.body)
    message = made.output[-1]
    with pytest.raises(openai.APIStatusError) as caught:
        other.responses.create(model=model, input=[{"type": "item_reference", "id": message.id}])
    assert caught.value.status_code in (400, 404)
    assert stand.openai.responses.retrieve(made.id).id == made.id


@each_other
@each_platform
def test_a_background_response_is_its_keys_alone(platform, other, stand):
    model, other = f"m-{platform}", stand.others[other]
    made = stand.openai.responses.create(model=model, input="SLOWLY please", background=True)
    for use in [other.responses.retrieve, other.responses.cancel, other.responses.delete]:
        with pytest.raises(openai.NotFoundError):
            use(made.id)
    assert stand.openai.responses.retrieve(made.id).status in ("queued", "in_progress")


@each_other
@each_platform
def test_a_conversation_is_its_keys_alone(platform, other, stand):
    model, other = f"m-{platform}", stand.others[other]
    made = stand.openai.conversations.create(items=[{"role": "user", "content": "I am Ada"}])
    item = stand.openai.conversations.items.list(made.id).data[0]
    for use in [other.conversations.retrieve, other.conversations.delete, other.conversations.items.list]:
        with pytest.raises(openai.NotFoundError):
            use(made.id)
    with pytest.raises(openai.NotFoundError):
        other.conversations.items.retrieve(item.id, conversation_id=made.id)
    with pytest.raises(openai.NotFoundError):
        other.responses.create(model=model, input="RECALL", conversation=made.id)


def test_a_socket_does_not_continue_what_another_key_made(stand):
    for platform in PLATFORMS:
        made = stand.openai.responses.create(model=f"m-{platform}", input="I am Ada")
        for other in stand.others:
            with other.responses.connect() as socket:
                socket.response.create(model=f"m-{platform}", input="RECALL", previous_response_id=made.id)
                error = socket.recv()
                assert error.type == "error" and error.error.code == "previous_response_not_found"
