// The three SDKs on models of every platform: a compact matrix beside the Python tests.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import { ApiError, FinishReason, Type } from '@google/genai';
import OpenAI from 'openai';

import { all, anthropic, google, ODD_TEXT, openai, said, toolsSaid, TURNS, user } from './helpers.mjs';

// The SDK warns at each call of a model that will be retired.
console.warn = () => {};

const CHANNELS = {
  'gpt-5': 'openai-sim',
  'claude-sonnet-4-5': 'anthropic-sim',
  'claude-opus-4-7': 'anthropic-sim',
  'gemini-2.5-flash': 'gemini-sim',
  'gemini-3-flash-preview': 'gemini-sim',
  'anthropic/claude-opus-4.7': 'openrouter-sim',
  'deepseek-chat': 'compatible-sim',
};
const ROUTER = 'anthropic/claude-opus-4.7';
const others = (own) => Object.keys(CHANNELS).filter((model) => CHANNELS[model] !== own);
const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['celsius', 'fahrenheit'] } },
  required: ['city', 'unit'],
};
const WAYS = ['whole', 'streamed'];
const tokens = (text) => Math.ceil([...text].length / 4);
const expected = (model, text) => [tokens(text), tokens(said(model, text))];
const loops = (models, run) => {
  for (const model of models) {
    for (const way of WAYS) {
      for (const thinking of [false, true]) {
        const name = `tool loop of two turns${thinking ? ' with thinking' : ''}, ${way}, ${model}`;
        test(name, () => run(model, way === 'streamed', thinking));
      }
    }
  }
};

const gpt = openai();
const claude = anthropic();
const gemini = google();

// OpenAI

for (const model of others('openai-sim')) {
  test(`openai: text and stream, ${model}`, async () => {
    const body = { model, messages: user(ODD_TEXT) };
    const { data: whole, response } = await gpt.chat.completions.create(body).withResponse();
    assert.equal(response.headers.get('x-torouter-channel'), CHANNELS[model]);
    assert.equal(whole.choices[0].message.content, said(model, ODD_TEXT));
    assert.equal(whole.choices[0].finish_reason, 'stop');
    assert.deepEqual([whole.usage.prompt_tokens, whole.usage.completion_tokens], expected(model, ODD_TEXT));
    const pieces = [];
    const stream = gpt.chat.completions.stream({ ...body, stream_options: { include_usage: true } });
    const final = await stream.on('content', (piece) => pieces.push(piece)).finalChatCompletion();
    assert.ok(pieces.length > 3);
    assert.equal(pieces.join(''), said(model, ODD_TEXT));
    assert.equal(final.choices[0].message.content, said(model, ODD_TEXT));
    assert.equal(final.usage.total_tokens, whole.usage.total_tokens);
  });
}

loops(others('openai-sim'), async (model, streamed, thinking) => {
  const tools = [{ type: 'function', function: { name: 'get_weather', parameters: SCHEMA } }];
  const messages = [];
  const turn = async () => {
    const body = { model, messages, tools, ...(thinking && { reasoning_effort: 'high' }) };
    const answer = streamed
      ? await gpt.chat.completions.stream(body).finalChatCompletion()
      : await gpt.chat.completions.create(body);
    const { message, finish_reason } = answer.choices[0];
    // OpenRouter shows its reasoning under another name, and is left as it is.
    if (thinking && !streamed && model !== ROUTER) assert.ok(message.reasoning_content.includes(model));
    messages.push(message);
    return { message, finish_reason };
  };
  for (const [question, city, degrees] of TURNS.slice(0, 2)) {
    messages.push(...user(question));
    const asked = await turn();
    assert.equal(asked.finish_reason, 'tool_calls');
    const [call] = asked.message.tool_calls;
    assert.deepEqual(JSON.parse(call.function.arguments), { city, unit: 'celsius' });
    messages.push({ role: 'tool', tool_call_id: call.id, content: degrees });
    assert.equal((await turn()).message.content, toolsSaid(model, degrees));
  }
});

test('openai: what cannot be carried over is refused by its name', async () => {
  for (const stream of [false, true]) {
    const body = { model: 'claude-opus-4-7', messages: user('Hi'), logprobs: true, stream };
    await assert.rejects(gpt.chat.completions.create(body), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.deepEqual([error.code, error.param], ['unsupported_parameter', 'logprobs']);
      return true;
    });
  }
});

// Anthropic

const textOf = (message) => message.content.map((block) => (block.type === 'text' ? block.text : '')).join('');

for (const model of others('anthropic-sim')) {
  test(`anthropic: text and stream, ${model}`, async () => {
    const body = { model, max_tokens: 100, messages: user(ODD_TEXT) };
    const { data: whole, response } = await claude.messages.create(body).withResponse();
    assert.equal(response.headers.get('x-torouter-channel'), CHANNELS[model]);
    assert.equal(textOf(whole), said(model, ODD_TEXT));
    assert.equal(whole.stop_reason, 'end_turn');
    const pieces = [];
    const final = await claude.messages.stream(body).on('text', (piece) => pieces.push(piece)).finalMessage();
    assert.ok(pieces.length > 3);
    assert.equal(pieces.join(''), textOf(whole));
    assert.equal(textOf(final), textOf(whole));
    for (const { usage } of [whole, final]) {
      assert.deepEqual([usage.input_tokens, usage.output_tokens], expected(model, ODD_TEXT));
    }
    assert.ok((await claude.messages.countTokens({ model, messages: body.messages })).input_tokens > 0);
  });
}

loops(others('anthropic-sim'), async (model, streamed, thinking) => {
  const tools = [{ name: 'get_weather', input_schema: SCHEMA }];
  const messages = [];
  const turn = async () => {
    const body = { model, max_tokens: 4000, messages, tools };
    if (thinking) body.thinking = { type: 'enabled', budget_tokens: 1024 };
    const message = streamed ? await claude.messages.stream(body).finalMessage() : await claude.messages.create(body);
    messages.push({ role: 'assistant', content: message.content });
    // OpenAI shows nothing of its reasoning in Chat.
    if (thinking && model !== 'gpt-5') assert.ok(message.content[0].thinking.includes(model));
    return message;
  };
  for (const [question, city, degrees] of TURNS.slice(0, 2)) {
    messages.push(...user(question));
    const asked = await turn();
    assert.equal(asked.stop_reason, 'tool_use');
    const call = asked.content.at(-1);
    assert.deepEqual(call.input, { city, unit: 'celsius' });
    messages.push(...user([{ type: 'tool_result', tool_use_id: call.id, content: degrees }]));
    assert.equal(textOf(await turn()), toolsSaid(model, degrees));
  }
});

test('anthropic: a mistake is a bad request on every platform', async () => {
  for (const model of others('anthropic-sim')) {
    await assert.rejects(claude.messages.create({ model, max_tokens: 100, messages: [] }), (error) => {
      assert.ok(error instanceof Anthropic.BadRequestError);
      assert.equal(error.error.error.type, 'invalid_request_error');
      return true;
    });
  }
});

// Google

const partsOf = (chunks) => chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
const spoken = (parts) =>
  parts
    .filter((part) => part.text && !part.thought)
    .map((part) => part.text)
    .join('');

for (const model of others('gemini-sim')) {
  test(`google: text and stream, ${model}`, async () => {
    const whole = await gemini.models.generateContent({ model, contents: ODD_TEXT });
    assert.equal(whole.sdkHttpResponse.headers['x-torouter-channel'], CHANNELS[model]);
    assert.equal(whole.text, said(model, ODD_TEXT));
    assert.equal(whole.candidates[0].finishReason, FinishReason.STOP);
    const chunks = await all(await gemini.models.generateContentStream({ model, contents: ODD_TEXT }));
    assert.ok(chunks.length > 3);
    assert.equal(spoken(partsOf(chunks)), whole.text);
    assert.equal(chunks.at(-1).candidates[0].finishReason, FinishReason.STOP);
    for (const { usageMetadata: usage } of [whole, chunks.at(-1)]) {
      assert.deepEqual([usage.promptTokenCount, usage.candidatesTokenCount], expected(model, ODD_TEXT));
    }
    assert.ok((await gemini.models.countTokens({ model, contents: ODD_TEXT })).totalTokens > 0);
  });
}

loops(others('gemini-sim'), async (model, streamed, thinking) => {
  const parameters = {
    type: Type.OBJECT,
    properties: { city: { type: Type.STRING }, unit: { type: Type.STRING, enum: ['celsius', 'fahrenheit'] } },
    required: ['city', 'unit'],
  };
  const config = { tools: [{ functionDeclarations: [{ name: 'get_weather', parameters }] }] };
  if (thinking) config.thinkingConfig = { thinkingBudget: 2048, includeThoughts: true };
  const contents = [];
  const turn = async () => {
    const body = { model, contents, config };
    const parts = streamed
      ? partsOf(await all(await gemini.models.generateContentStream(body))).filter((part) => part.text !== '' || part.thoughtSignature)
      : (await gemini.models.generateContent(body)).candidates[0].content.parts;
    contents.push({ role: 'model', parts });
    if (thinking && CHANNELS[model] === 'anthropic-sim') assert.ok(parts[0].thought);
    return parts;
  };
  for (const [question, city, degrees] of TURNS.slice(0, 2)) {
    contents.push({ role: 'user', parts: [{ text: question }] });
    const { functionCall: call } = (await turn()).find((part) => part.functionCall);
    assert.equal(call.name, 'get_weather');
    assert.deepEqual(call.args, { city, unit: 'celsius' });
    const functionResponse = { id: call.id, name: call.name, response: { result: degrees } };
    contents.push({ role: 'user', parts: [{ functionResponse }] });
    const answer = spoken(await turn());
    // The result may come to the model in its object or out of it.
    assert.ok(answer.startsWith(toolsSaid(model, '')) && answer.includes(degrees), answer);
  }
});

test('google: what cannot be carried over is refused by its name', async () => {
  const body = { model: 'claude-opus-4-7', contents: 'Hi', config: { responseLogprobs: true } };
  for (const call of [
    () => gemini.models.generateContent(body),
    () => gemini.models.generateContentStream(body),
  ]) {
    await assert.rejects(call(), (error) => {
      assert.ok(error instanceof ApiError);
      assert.equal(error.status, 400);
      assert.match(error.message, /logprobs/i);
      return true;
    });
  }
});
