"""The `google-genai` SDK."""

import asyncio
import json

import pytest
from conftest import ASK_PARIS, ASK_ROME, KEY, ODD_TEXT, PNG, URL, fetch, google_client, said, tools_said
from google.genai import errors, types
from pydantic import BaseModel

MODEL = "gemini-2.5-flash"
THIRD = "gemini-3-flash-preview"
EMBEDDING = "gemini-embedding-001"
WEATHER = types.FunctionDeclaration(
    name="get_weather",
    description="The weather in a city.",
    parameters=types.Schema(
        type="OBJECT",
        properties={
            "city": types.Schema(type="STRING"),
            "unit": types.Schema(type="STRING", enum=["celsius", "fahrenheit"]),
        },
        required=["city", "unit"],
    ),
)
TIME = types.FunctionDeclaration(
    name="get_time",
    parameters_json_schema={"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
)
TOOLS = [types.Tool(function_declarations=[WEATHER, TIME])]


class Report(BaseModel):
    city: str
    days: list[int]


def counts(usage):
    return usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count


def text_of(chunks):
    """All text but thoughts."""
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or []]
    return "".join(part.text for part in parts if part.text and not part.thought)


@pytest.mark.parametrize("version", [None, "v1beta", "v1"])
def test_generate(mount, version):
    with google_client(mount, version=version) as client:
        answer = client.models.generate_content(
            model=MODEL,
            contents="Hello there",
            config=types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.5),
        )
        chunks = list(client.models.generate_content_stream(model=MODEL, contents="Hello there"))
    assert answer.text == text_of(chunks) == said(MODEL, "Hello there")
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.model_version == MODEL
    usage = answer.usage_metadata
    assert usage.prompt_token_count > 0 and usage.candidates_token_count > 0
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count
    headers = {name.lower(): value for name, value in answer.sdk_http_response.headers.items()}
    assert headers["x-request-id"]
    assert headers["x-torouter-channel"] == "gemini-sim"


def test_stream(gemini):
    whole = gemini.models.generate_content(model=MODEL, contents=ODD_TEXT)
    chunks = list(gemini.models.generate_content_stream(model=MODEL, contents=ODD_TEXT))
    assert len(chunks) > 3
    assert text_of(chunks) == whole.text == said(MODEL, ODD_TEXT)
    assert counts(chunks[-1].usage_metadata) == counts(whole.usage_metadata)
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert len({chunk.response_id for chunk in chunks}) == 1


def test_key_in_the_query_and_array_stream():
    # As the REST examples and the CLI do; the SDK sends a header and asks for events.
    body = json.dumps({"contents": [{"parts": [{"text": "Hi"}]}]}).encode()
    headers = {"content-type": "application/json"}
    path = f"{URL}/v1beta/models/{MODEL}"
    status, _, text = fetch(f"{path}:generateContent?key={KEY}", headers, body)
    assert status == 200
    assert json.loads(text)["candidates"][0]["content"]["parts"][0]["text"] == said(MODEL, "Hi")
    status, _, text = fetch(f"{path}:streamGenerateContent?key={KEY}", headers, body)
    assert status == 200
    pieces = [part["text"] for one in json.loads(text) for part in one["candidates"][0]["content"]["parts"]]
    assert len(pieces) > 3 and "".join(pieces) == said(MODEL, "Hi")
    status, _, text = fetch(f"{path}:generateContent?key=sk-wrong", headers, body)
    assert status == 401 and "sk-wrong" not in text


def test_count_tokens(mount):
    with google_client(mount) as client:
        counted = client.models.count_tokens(model=MODEL, contents="Count these words")
        made = client.models.generate_content(model=MODEL, contents="Count these words")
    assert counted.total_tokens == made.usage_metadata.prompt_token_count > 0


def test_embed(mount):
    with google_client(mount) as client:
        two = client.models.embed_content(model=EMBEDDING, contents=["one", "two"])
        short = client.models.embed_content(
            model=EMBEDDING, contents="one", config=types.EmbedContentConfig(output_dimensionality=256)
        )
    assert [len(item.values) for item in two.embeddings] == [3072, 3072]
    assert two.embeddings[0].values != two.embeddings[1].values
    assert sum(value * value for value in two.embeddings[0].values) == pytest.approx(1.0, abs=1e-3)
    assert [len(item.values) for item in short.embeddings] == [256]


def test_function_call(gemini):
    config = types.GenerateContentConfig(tools=TOOLS)
    answer = gemini.models.generate_content(model=MODEL, contents=ASK_PARIS, config=config)
    (call,) = answer.function_calls
    assert (call.name, call.args) == ("get_weather", {"city": "Paris", "unit": "celsius"})
    chunks = list(gemini.models.generate_content_stream(model=MODEL, contents=ASK_PARIS, config=config))
    calls = [call for chunk in chunks for call in chunk.function_calls or []]
    assert [(one.name, one.args) for one in calls] == [(call.name, call.args)]
    both = gemini.models.generate_content(model=MODEL, contents="Both in Paris", config=config)
    assert [call.name for call in both.function_calls] == ["get_weather", "get_time"]
    named = types.GenerateContentConfig(
        tools=TOOLS,
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["get_time"])
        ),
    )
    forced = gemini.models.generate_content(model=MODEL, contents=ASK_PARIS, config=named)
    assert [call.name for call in forced.function_calls] == ["get_time"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", [MODEL, THIRD])
def test_tool_loop(gemini, model, streamed):
    # The third generation refuses a call that comes back without its signature.
    contents = [types.UserContent(ASK_PARIS)]
    config = types.GenerateContentConfig(tools=TOOLS)

    def turn():
        if streamed:
            chunks = list(gemini.models.generate_content_stream(model=model, contents=contents, config=config))
            parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or []]
            content = types.ModelContent([part for part in parts if part.text != ""])
        else:
            content = gemini.models.generate_content(model=model, contents=contents, config=config).candidates[0].content
        contents.append(content)
        return content.parts

    for city, degrees in [("Paris", "18 degrees"), ("Rome", "25 degrees"), ("Oslo", "7 degrees")]:
        (part,) = turn()
        assert (part.function_call.name, part.function_call.args["city"]) == ("get_weather", city)
        assert bool(part.thought_signature) == (model == THIRD)
        answer = types.Part.from_function_response(name="get_weather", response={"result": degrees})
        answer.function_response.id = part.function_call.id
        contents.append(types.UserContent(answer))
        assert "".join(part.text for part in turn()) == tools_said(model, degrees)
        contents.append(types.UserContent(ASK_ROME if city == "Paris" else "Or in Oslo?"))


def test_automatic_function_calling(gemini):
    asked = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "18 degrees"

    answer = gemini.models.generate_content(
        model=THIRD, contents=ASK_PARIS, config=types.GenerateContentConfig(tools=[get_weather])
    )
    assert answer.text == tools_said(THIRD, "18 degrees")
    assert asked == ["Paris"]


def test_chat(gemini):
    chat = gemini.chats.create(model=MODEL)
    first = chat.send_message("My name is Ada")
    assert first.text == said(MODEL, "My name is Ada")
    second = list(chat.send_message_stream("And now?"))
    assert text_of(second) == said(MODEL, "And now?")
    assert second[-1].usage_metadata.prompt_token_count > first.usage_metadata.prompt_token_count
    history = chat.get_history()
    assert [content.parts[0].text for content in history if content.role == "user"] == ["My name is Ada", "And now?"]


def test_structured_output(gemini):
    expected = Report(city="Paris", days=[1])
    answer = gemini.models.generate_content(
        model=MODEL,
        contents=ASK_PARIS,
        config=types.GenerateContentConfig(response_mime_type="application/json", response_schema=Report),
    )
    assert answer.parsed == expected
    free = gemini.models.generate_content(
        model=MODEL,
        contents=ASK_PARIS,
        config=types.GenerateContentConfig(
            response_mime_type="application/json", response_json_schema=Report.model_json_schema()
        ),
    )
    assert Report.model_validate_json(free.text) == expected


def test_thinking(gemini):
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(thinking_budget=512, include_thoughts=True)
    )
    whole = gemini.models.generate_content(model=MODEL, contents="Think", config=config)
    thoughts = [part.text for part in whole.candidates[0].content.parts if part.thought]
    assert len(thoughts) == 1 and thoughts[0]
    assert whole.text == said(MODEL, "Think")
    assert whole.usage_metadata.thoughts_token_count > 0
    chunks = list(gemini.models.generate_content_stream(model=MODEL, contents="Think", config=config))
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text for part in parts if part.thought) == thoughts[0]
    assert counts(chunks[-1].usage_metadata) == counts(whole.usage_metadata)


@pytest.mark.parametrize("model", [MODEL, THIRD])
def test_thinking_suffix(gemini, model):
    plain = gemini.models.generate_content(model=model, contents="Think")
    assert not plain.usage_metadata.thoughts_token_count
    whole = gemini.models.generate_content(model=f"{model}-thinking", contents="Think")
    assert whole.text == said(model, "Think")
    assert whole.usage_metadata.thoughts_token_count > 0
    chunks = list(gemini.models.generate_content_stream(model=f"{model}-thinking", contents="Think"))
    assert text_of(chunks) == whole.text
    assert chunks[-1].usage_metadata.thoughts_token_count == whole.usage_metadata.thoughts_token_count


def test_pictures(gemini):
    contents = [types.Part.from_bytes(data=PNG, mime_type="image/png"), "What is this?"]
    plain = gemini.models.generate_content(model=MODEL, contents="What is this?")
    answer = gemini.models.generate_content(model=MODEL, contents=contents)
    assert answer.text == said(MODEL, "What is this?")
    assert answer.usage_metadata.prompt_token_count > plain.usage_metadata.prompt_token_count
    drawn = gemini.models.generate_content(
        model=MODEL, contents="Draw", config=types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"])
    )
    (picture,) = [part.inline_data for part in drawn.candidates[0].content.parts if part.inline_data]
    assert picture.mime_type == "image/png" and picture.data.startswith(b"\x89PNG")


def test_limits_and_refusal(gemini):
    short = gemini.models.generate_content(
        model=MODEL, contents="Hi", config=types.GenerateContentConfig(max_output_tokens=2)
    )
    assert short.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert short.usage_metadata.candidates_token_count == 2
    stopped = gemini.models.generate_content(
        model=MODEL, contents="one two three", config=types.GenerateContentConfig(stop_sequences=["two"])
    )
    assert stopped.text == said(MODEL, "one ")
    refused = gemini.models.generate_content(model=MODEL, contents="REFUSE this")
    assert refused.candidates[0].finish_reason == types.FinishReason.SAFETY
    assert not refused.text


def test_models(mount):
    with google_client(mount) as client:
        models = list(client.models.list())
        paged = [model.name for model in client.models.list(config={"page_size": 2})]
        one = client.models.get(model=MODEL)
        with pytest.raises(errors.ClientError) as caught:
            client.models.get(model="nobodys-model")
    names = [model.name for model in models]
    assert {f"models/{MODEL}", f"models/{THIRD}", f"models/{EMBEDDING}"} <= set(names)
    assert len(set(names)) == len(names)
    assert paged == names
    assert one.name == f"models/{MODEL}"
    assert "generateContent" in one.supported_actions
    assert caught.value.code == 404


def test_an_embedding_model_is_listed_as_one(gemini):
    # As Google lists it; clients choose models by this.
    actions = gemini.models.get(model=EMBEDDING).supported_actions
    assert "embedContent" in actions and "generateContent" not in actions


def test_async(mount):
    async def run():
        client = google_client(mount)
        async with client.aio as aio:
            texts = [f"number {number}" for number in range(8)]
            answers = await asyncio.gather(
                *(aio.models.generate_content(model=MODEL, contents=text) for text in texts)
            )
            assert [answer.text for answer in answers] == [said(MODEL, text) for text in texts]
            chunks = [
                chunk async for chunk in await aio.models.generate_content_stream(model=MODEL, contents="Hi")
            ]
            assert text_of(chunks) == said(MODEL, "Hi")

    asyncio.run(run())


def test_wrong_key(mount):
    with google_client(mount, key="sk-wrong") as client, pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=MODEL, contents="Hi")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
    assert "sk-wrong" not in str(caught.value)


def test_unknown_model(gemini):
    # The SDK has one class for all faults of the client; the code tells them apart.
    def fails(call, **options):
        with pytest.raises(errors.ClientError) as caught:
            call(model="nobodys-model", **options)
        assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
        assert "nobodys-model" in caught.value.message

    fails(gemini.models.generate_content, contents="Hi")
    fails(lambda **options: list(gemini.models.generate_content_stream(**options)), contents="Hi")
    fails(gemini.models.count_tokens, contents="Hi")
    fails(gemini.models.embed_content, contents="Hi")


def test_bad_request(gemini):
    with pytest.raises(errors.ClientError) as caught:
        gemini.models.generate_content(
            model=MODEL,
            contents="Hi",
            config={"http_options": {"extra_body": {"generationConfig": {"nonsense": 1}}}},
        )
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    assert "nonsense" in caught.value.message
