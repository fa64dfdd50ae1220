// The `@anthropic-ai/sdk` SDK.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';

import { all, anthropic, ASK_PARIS, eachMount, KEY, ODD_TEXT, PNG_BASE64, said, toolsSaid, TURNS, URL_ROOT, user } from './helpers.mjs';

// The SDK warns at each call of a model that will be retired.
console.warn = () => {};

const MODEL = 'claude-opus-4-7';
const SONNET = 'claude-sonnet-4-5';
const BUDGET = { type: 'enabled', budget_tokens: 1024 };
const WEATHER = {
  name: 'get_weather',
  input_schema: {
    type: 'object',
    properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['celsius', 'fahrenheit'] } },
    required: ['city', 'unit'],
  },
};
const claude = anthropic();

const textOf = (message) => message.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
const counts = (usage) => [usage.input_tokens, usage.output_tokens];

eachMount(test, 'messages, whole and streamed', async (mount) => {
  const client = anthropic(mount);
  const body = { model: MODEL, max_tokens: 100, system: 'Be brief.', messages: user(ODD_TEXT) };
  const { data: whole, response, request_id } = await client.messages.create(body).withResponse();
  assert.equal(textOf(whole), said(MODEL, ODD_TEXT));
  assert.equal(whole.stop_reason, 'end_turn');
  assert.ok(whole.usage.input_tokens > 0 && whole.usage.output_tokens > 0);
  assert.equal(response.headers.get('x-torouter-channel'), 'anthropic-sim');
  assert.ok(request_id);
  assert.equal(whole._request_id, request_id);
  assert.equal(response.headers.get('x-request-id'), request_id);
  const events = await all(await client.messages.create({ ...body, stream: true }));
  const deltas = events.filter((event) => event.type === 'content_block_delta').map((event) => event.delta.text);
  assert.ok(deltas.length > 3);
  assert.equal(deltas.join(''), textOf(whole));
  const pieces = [];
  const final = await client.messages.stream(body).on('text', (piece) => pieces.push(piece)).finalMessage();
  assert.equal(pieces.join(''), textOf(whole));
  assert.deepEqual(counts(final.usage), counts(whole.usage));
});

test('Authorization: Bearer', async () => {
  const client = new Anthropic({ baseURL: URL_ROOT, apiKey: null, authToken: KEY, maxRetries: 0 });
  const message = await client.messages.create({ model: MODEL, max_tokens: 100, messages: user('Hi') });
  assert.equal(textOf(message), said(MODEL, 'Hi'));
});

for (const streamed of [false, true]) {
  for (const thinking of [undefined, BUDGET]) {
    const name = `${streamed ? 'streamed' : 'whole'}${thinking ? ', with thinking' : ''}`;
    test(`tool loop of three turns, ${name}`, async () => {
      const messages = [];
      const turn = async () => {
        const body = { model: SONNET, max_tokens: 4000, messages, tools: [WEATHER], thinking };
        const message = streamed
          ? await claude.messages.stream(body).finalMessage()
          : await claude.messages.create(body);
        messages.push({ role: 'assistant', content: message.content });
        if (thinking) assert.ok(message.content[0].thinking && message.content[0].signature);
        return message;
      };
      for (const [question, city, degrees] of TURNS) {
        messages.push(...user(question));
        const asked = await turn();
        assert.equal(asked.stop_reason, 'tool_use');
        const call = asked.content.at(-1);
        assert.equal(call.name, 'get_weather');
        assert.deepEqual(call.input, { city, unit: 'celsius' });
        messages.push(...user([{ type: 'tool_result', tool_use_id: call.id, content: degrees }]));
        assert.equal(textOf(await turn()), toolsSaid(SONNET, degrees));
      }
    });
  }
}

for (const [name, options] of [['thread', {}], ['history', { thread: false }]]) {
  // By default the SDK has the provider hold the conversation (`thread`, beta `message-threads-2026-08-12`).
  test(`tool runner, ${name}`, async () => {
    const asked = [];
    const tool = betaZodTool({
      name: 'get_weather',
      description: 'The weather in a city.',
      inputSchema: z.object({ city: z.string() }),
      run: ({ city }) => (asked.push(city), '18 degrees'),
    });
    const runner = claude.beta.messages.toolRunner({
      model: MODEL,
      max_tokens: 100,
      messages: user(ASK_PARIS),
      tools: [tool],
      ...options,
    });
    assert.equal(textOf(await runner.runUntilDone()), toolsSaid(MODEL, '18 degrees'));
    assert.deepEqual(asked, ['Paris']);
  });
}

test('parse', async () => {
  const Report = z.object({ city: z.string(), days: z.array(z.number().int()) });
  const message = await claude.messages.parse({
    model: MODEL,
    max_tokens: 100,
    messages: user(ASK_PARIS),
    output_config: { format: zodOutputFormat(Report) },
  });
  assert.deepEqual(message.parsed_output, { city: 'Paris', days: [1] });
});

for (const model of [MODEL, SONNET]) {
  test(`-thinking suffix of ${model}`, async () => {
    const body = { max_tokens: 4000, messages: user('Think') };
    const plain = await claude.messages.create({ ...body, model });
    const whole = await claude.messages.create({ ...body, model: `${model}-thinking` });
    const streamed = await claude.messages.stream({ ...body, model: `${model}-thinking` }).finalMessage();
    for (const message of [whole, streamed]) {
      assert.deepEqual(message.content.map((block) => block.type), ['thinking', 'text']);
      assert.equal(textOf(message), said(model, 'Think'));
      assert.ok(message.usage.output_tokens > plain.usage.output_tokens);
    }
    assert.deepEqual(counts(streamed.usage), counts(whole.usage));
  });
}

test('picture', async () => {
  const content = [
    { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG_BASE64 } },
    { type: 'text', text: 'What is this?' },
  ];
  const message = await claude.messages.create({ model: MODEL, max_tokens: 100, messages: user(content) });
  assert.equal(textOf(message), said(MODEL, 'What is this?'));
  assert.ok(message.usage.input_tokens > 80);
});

eachMount(test, 'count_tokens', async (mount) => {
  const client = anthropic(mount);
  const body = { model: MODEL, messages: user('Count these words'), tools: [WEATHER] };
  const counted = await client.messages.countTokens(body);
  const made = await client.messages.create({ ...body, max_tokens: 100 });
  assert.ok(counted.input_tokens > 0);
  assert.equal(counted.input_tokens, made.usage.input_tokens);
});

eachMount(test, 'models', async (mount) => {
  const client = anthropic(mount);
  const ids = (await all(client.models.list())).map((model) => model.id);
  const paged = (await all(client.models.list({ limit: 2 }))).map((model) => model.id);
  for (const id of [MODEL, SONNET]) assert.ok(ids.includes(id), id);
  assert.deepEqual(paged, ids);
  assert.equal((await client.models.retrieve(MODEL)).id, MODEL);
  await assert.rejects(client.models.retrieve('nobodys-model'), Anthropic.NotFoundError);
});

eachMount(test, 'errors', async (mount) => {
  const client = anthropic(mount);
  const body = { model: MODEL, max_tokens: 100, messages: user('Hi') };
  await assert.rejects(anthropic(mount, 'sk-wrong').messages.create(body), (error) => {
    assert.ok(error instanceof Anthropic.AuthenticationError);
    assert.equal(error.error.error.type, 'authentication_error');
    assert.ok(error.requestID);
    return true;
  });
  const model = 'nobodys-model';
  for (const call of [
    () => client.messages.create({ ...body, model }),
    () => client.messages.stream({ ...body, model }).finalMessage(),
    () => client.messages.countTokens({ model, messages: body.messages }),
  ]) {
    await assert.rejects(call(), Anthropic.NotFoundError);
  }
  await assert.rejects(client.messages.create({ ...body, messages: [] }), (error) => {
    assert.ok(error instanceof Anthropic.BadRequestError);
    assert.equal(error.error.error.type, 'invalid_request_error');
    return true;
  });
});
