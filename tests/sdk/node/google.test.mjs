// The `@google/genai` SDK.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ApiError, FinishReason, FunctionCallingConfigMode, Type } from '@google/genai';

import { all, ASK_PARIS, eachMount, google, ODD_TEXT, PNG_BASE64, said, toolsSaid, TURNS } from './helpers.mjs';

const MODEL = 'gemini-2.5-flash';
const THIRD = 'gemini-3-flash-preview';
const EMBEDDING = 'gemini-embedding-001';
const WEATHER = {
  name: 'get_weather',
  parameters: {
    type: Type.OBJECT,
    properties: { city: { type: Type.STRING }, unit: { type: Type.STRING, enum: ['celsius', 'fahrenheit'] } },
    required: ['city', 'unit'],
  },
};
const TIME = {
  name: 'get_time',
  parametersJsonSchema: { type: 'object', properties: { zone: { type: 'string' } }, required: ['zone'] },
};
const tools = [{ functionDeclarations: [WEATHER, TIME] }];
const gemini = google();

const partsOf = (chunks) => chunks.flatMap((chunk) => chunk.candidates[0].content?.parts ?? []);
const textOf = (chunks) =>
  partsOf(chunks)
    .filter((part) => part.text && !part.thought)
    .map((part) => part.text)
    .join('');
const counts = (usage) => [usage.promptTokenCount, usage.candidatesTokenCount, usage.totalTokenCount];

for (const version of [undefined, 'v1beta', 'v1']) {
  eachMount(test, `generate, whole and streamed, ${version ?? 'default version'}`, async (mount) => {
    const { models } = google(mount, undefined, version);
    const whole = await models.generateContent({ model: MODEL, contents: ODD_TEXT });
    assert.equal(whole.text, said(MODEL, ODD_TEXT));
    assert.equal(whole.candidates[0].finishReason, FinishReason.STOP);
    assert.ok(whole.usageMetadata.promptTokenCount > 0 && whole.usageMetadata.candidatesTokenCount > 0);
    assert.ok(whole.sdkHttpResponse.headers['x-request-id']);
    assert.equal(whole.sdkHttpResponse.headers['x-torouter-channel'], 'gemini-sim');
    const chunks = await all(await models.generateContentStream({ model: MODEL, contents: ODD_TEXT }));
    assert.ok(chunks.length > 3);
    assert.equal(textOf(chunks), whole.text);
    assert.deepEqual(counts(chunks.at(-1).usageMetadata), counts(whole.usageMetadata));
  });
}

for (const model of [MODEL, THIRD]) {
  for (const streamed of [false, true]) {
    test(`tool loop of three turns, ${model}, ${streamed ? 'streamed' : 'whole'}`, async () => {
      const contents = [];
      const turn = async () => {
        const body = { model, contents, config: { tools } };
        const parts = streamed
          ? partsOf(await all(await gemini.models.generateContentStream(body))).filter((part) => part.text !== '')
          : (await gemini.models.generateContent(body)).candidates[0].content.parts;
        contents.push({ role: 'model', parts });
        return parts;
      };
      for (const [question, city, degrees] of TURNS) {
        contents.push({ role: 'user', parts: [{ text: question }] });
        const [{ functionCall: call }] = await turn();
        assert.equal(call.name, 'get_weather');
        assert.deepEqual(call.args, { city, unit: 'celsius' });
        const functionResponse = { id: call.id, name: call.name, response: { result: degrees } };
        contents.push({ role: 'user', parts: [{ functionResponse }] });
        assert.equal((await turn()).map((part) => part.text).join(''), toolsSaid(model, degrees));
      }
    });
  }
}

test('tools: parallel and forced', async () => {
  const both = await gemini.models.generateContent({ model: MODEL, contents: 'Both in Paris', config: { tools } });
  assert.deepEqual(both.functionCalls.map((call) => call.name), ['get_weather', 'get_time']);
  const functionCallingConfig = { mode: FunctionCallingConfigMode.ANY, allowedFunctionNames: ['get_time'] };
  const forced = await gemini.models.generateContent({
    model: MODEL,
    contents: ASK_PARIS,
    config: { tools, toolConfig: { functionCallingConfig } },
  });
  assert.deepEqual(forced.functionCalls.map((call) => call.name), ['get_time']);
});

test('chat', async () => {
  const chat = gemini.chats.create({ model: MODEL });
  assert.equal((await chat.sendMessage({ message: 'My name is Ada' })).text, said(MODEL, 'My name is Ada'));
  const chunks = await all(await chat.sendMessageStream({ message: 'And now?' }));
  assert.equal(textOf(chunks), said(MODEL, 'And now?'));
});

test('structured output', async () => {
  const responseSchema = {
    type: Type.OBJECT,
    properties: { city: { type: Type.STRING }, days: { type: Type.ARRAY, items: { type: Type.INTEGER } } },
    required: ['city', 'days'],
  };
  const config = { responseMimeType: 'application/json', responseSchema };
  const answer = await gemini.models.generateContent({ model: MODEL, contents: ASK_PARIS, config });
  assert.deepEqual(JSON.parse(answer.text), { city: 'Paris', days: [1] });
});

test('thinking, by parameter and by suffix', async () => {
  const config = { thinkingConfig: { thinkingBudget: 512, includeThoughts: true } };
  const whole = await gemini.models.generateContent({ model: MODEL, contents: 'Think', config });
  const thought = whole.candidates[0].content.parts.find((part) => part.thought).text;
  assert.ok(thought);
  assert.equal(whole.text, said(MODEL, 'Think'));
  const chunks = await all(await gemini.models.generateContentStream({ model: MODEL, contents: 'Think', config }));
  const pieces = partsOf(chunks).filter((part) => part.thought);
  assert.equal(pieces.map((part) => part.text).join(''), thought);
  for (const model of [MODEL, THIRD]) {
    const answer = await gemini.models.generateContent({ model: `${model}-thinking`, contents: 'Think' });
    assert.equal(answer.text, said(model, 'Think'));
    assert.ok(answer.usageMetadata.thoughtsTokenCount > 0);
  }
});

test('picture', async () => {
  const contents = [{ inlineData: { mimeType: 'image/png', data: PNG_BASE64 } }, 'What is this?'];
  const answer = await gemini.models.generateContent({ model: MODEL, contents });
  assert.equal(answer.text, said(MODEL, 'What is this?'));
  assert.ok(answer.usageMetadata.promptTokenCount > 80);
});

eachMount(test, 'countTokens, embedContent', async (mount) => {
  const { models } = google(mount);
  const counted = await models.countTokens({ model: MODEL, contents: 'Count these words' });
  const made = await models.generateContent({ model: MODEL, contents: 'Count these words' });
  assert.ok(counted.totalTokens > 0);
  assert.equal(counted.totalTokens, made.usageMetadata.promptTokenCount);
  const two = await models.embedContent({ model: EMBEDDING, contents: ['one', 'two'] });
  assert.deepEqual(two.embeddings.map((item) => item.values.length), [3072, 3072]);
  const config = { outputDimensionality: 256 };
  const short = await models.embedContent({ model: EMBEDDING, contents: 'one', config });
  assert.equal(short.embeddings[0].values.length, 256);
});

eachMount(test, 'models', async (mount) => {
  const { models } = google(mount);
  const names = (await all(await models.list())).map((model) => model.name);
  const paged = (await all(await models.list({ config: { pageSize: 2 } }))).map((model) => model.name);
  for (const id of [MODEL, THIRD, EMBEDDING]) assert.ok(names.includes(`models/${id}`), id);
  assert.deepEqual(paged, names);
  assert.equal((await models.get({ model: MODEL })).name, `models/${MODEL}`);
});

eachMount(test, 'errors', async (mount) => {
  const fails = (promise, status) =>
    assert.rejects(promise, (error) => {
      assert.ok(error instanceof ApiError, String(error));
      assert.equal(error.status, status);
      return true;
    });
  const { models } = google(mount);
  await fails(google(mount, 'sk-wrong').models.generateContent({ model: MODEL, contents: 'Hi' }), 401);
  await fails(models.generateContent({ model: 'nobodys-model', contents: 'Hi' }), 404);
  await fails(models.generateContentStream({ model: 'nobodys-model', contents: 'Hi' }), 404);
  // Anthropic has no embeddings.
  await fails(models.embedContent({ model: 'claude-opus-4-7', contents: 'one' }), 404);
  const nonsense = { httpOptions: { extraBody: { generationConfig: { nonsense: 1 } } } };
  await fails(models.generateContent({ model: MODEL, contents: 'Hi', config: nonsense }), 400);
});
