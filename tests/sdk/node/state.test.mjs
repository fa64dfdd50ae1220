// What the Responses API remembers, on every platform in the same way: a compact matrix beside the Python tests.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { all, openai, recalled, said, toolsSaid, TURNS, user } from './helpers.mjs';

const MODELS = {
  openai: 'gpt-5',
  anthropic: 'claude-sonnet-4-5',
  gemini: 'gemini-2.5-flash',
  'gemini-3': 'gemini-3-flash-preview',
  openrouter: 'anthropic/claude-opus-4.7',
  compatible: 'deepseek-chat',
};
const WEATHER = {
  type: 'function',
  name: 'get_weather',
  strict: false,
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
// The simulated models take their time for it.
const SLOW = 'SLOWLY count to three';
const [ADA, TEA] = ['I am Ada', 'I like tea'];
const ENDED = ['completed', 'incomplete', 'failed', 'cancelled'];

const gpt = openai();
const each = (name, run) => {
  for (const [platform, model] of Object.entries(MODELS)) test(`state: ${name} [${platform}]`, () => run(model));
};
const ask = (streamed, body) =>
  streamed ? gpt.responses.stream(body).finalResponse() : gpt.responses.create(body);
const text = (response) => response.output.find((item) => item.type === 'message').content[0].text;
const unknownPrevious = (error) =>
  [400, 404].includes(error.status) && error.code === 'previous_response_not_found';

async function finished(response) {
  const end = Date.now() + 20_000;
  while (!ENDED.includes(response.status)) {
    assert.ok(Date.now() < end, `still ${response.status}`);
    await sleep(20);
    response = await gpt.responses.retrieve(response.id);
  }
  return response;
}

each('a turn brings all earlier ones along', async (model) => {
  for (const streamed of [false, true]) {
    const first = await ask(streamed, { model, input: ADA });
    const second = await ask(streamed, { model, input: TEA, previous_response_id: first.id });
    const third = await ask(streamed, { model, input: 'RECALL', previous_response_id: second.id });
    assert.equal(text(third), recalled(model, [ADA, TEA], 2));
    assert.equal(third.previous_response_id, second.id);
    assert.ok(third.usage.input_tokens > second.usage.input_tokens);
  }
});

each('a tool loop sends the results only', async (model) => {
  for (const streamed of [false, true]) {
    const body = { model, tools: [WEATHER], reasoning: { effort: 'high', summary: 'auto' } };
    let answer;
    for (const [question, city, result] of TURNS) {
      const asked = await ask(streamed, { ...body, input: question, previous_response_id: answer?.id });
      const call = asked.output.find((item) => item.type === 'function_call');
      assert.deepEqual(JSON.parse(call.arguments), { city });
      const input = [{ type: 'function_call_output', call_id: call.call_id, output: result }];
      answer = await ask(streamed, { ...body, input, previous_response_id: asked.id });
      assert.equal(text(answer), toolsSaid(model, result));
    }
    const last = await ask(streamed, { model, input: 'RECALL', previous_response_id: answer.id });
    assert.equal(text(last), recalled(model, TURNS.map(([question]) => question), 3, 3));
  }
});

each('a structured answer in a conversation', async (model) => {
  const first = await gpt.responses.create({ model, input: ADA });
  const format = zodTextFormat(z.object({ city: z.string() }), 'report');
  const body = { model, input: 'In Paris?', text: { format }, previous_response_id: first.id };
  const second = await gpt.responses.parse(body);
  assert.deepEqual(second.output_parsed, { city: 'Paris' });
  const third = await gpt.responses.create({ model, input: 'RECALL', previous_response_id: second.id });
  assert.equal(text(third), recalled(model, [ADA, 'In Paris?'], 2));
});

each('what is kept is read, listed and deleted', async (model) => {
  const made = await gpt.responses.create({ model, input: ADA });
  assert.deepEqual((await gpt.responses.retrieve(made.id)).output, made.output);
  const follow = await gpt.responses.create({ model, input: TEA, previous_response_id: made.id });
  const items = await all(gpt.responses.inputItems.list(follow.id, { order: 'asc', limit: 2 }));
  assert.deepEqual(items.map((item) => item.content[0].text), [ADA, said(model, ADA), TEA]);
  await gpt.responses.delete(made.id);
  await assert.rejects(gpt.responses.retrieve(made.id), OpenAI.NotFoundError);
  await assert.rejects(gpt.responses.create({ model, input: 'Hi', previous_response_id: made.id }), unknownPrevious);
  const forgotten = await gpt.responses.create({ model, input: ADA, store: false });
  await assert.rejects(gpt.responses.retrieve(forgotten.id), OpenAI.NotFoundError);
});

each('in the background: polled, and cancelled', async (model) => {
  const made = await gpt.responses.create({ model, input: SLOW, background: true });
  assert.ok(['queued', 'in_progress'].includes(made.status));
  const done = await finished(made);
  assert.deepEqual([done.status, text(done)], ['completed', said(model, SLOW)]);
  const other = await gpt.responses.create({ model, input: SLOW, background: true });
  assert.equal((await gpt.responses.cancel(other.id)).status, 'cancelled');
  assert.equal((await gpt.responses.retrieve(other.id)).status, 'cancelled');
  const plain = await gpt.responses.create({ model, input: 'Hi' });
  await assert.rejects(gpt.responses.cancel(plain.id), OpenAI.BadRequestError);
});

each('a background stream is taken up where it was left', async (model) => {
  const seen = [];
  for await (const event of await gpt.responses.create({ model, input: SLOW, background: true, stream: true })) {
    seen.push(event);
    if (event.type === 'response.output_text.delta') break;
  }
  const [{ response: made }, last] = [seen[0], seen.at(-1).sequence_number];
  const rest = await all(await gpt.responses.retrieve(made.id, { stream: true, starting_after: last }));
  const numbers = [...seen, ...rest].map((event) => event.sequence_number);
  assert.deepEqual(numbers, numbers.map((_, at) => at));
  assert.equal(rest.at(-1).type, 'response.completed');
  const deltas = [...seen, ...rest].filter((event) => event.type === 'response.output_text.delta');
  assert.equal(deltas.map((event) => event.delta).join(''), said(model, SLOW));
  // The helper that takes up a stream by its id, after its end.
  const final = await gpt.responses.stream({ response_id: made.id }).finalResponse();
  assert.equal(text(final), said(model, SLOW));
});

each('a conversation gathers what was said', async (model) => {
  const made = await gpt.conversations.create({ metadata: { topic: 'state' }, items: user(ADA) });
  const first = await gpt.responses.create({ model, input: TEA, conversation: made.id });
  const second = await ask(true, { model, input: 'RECALL', conversation: { id: made.id } });
  // What an openai channel says passes as it is, and the conversation is the gateway's.
  if (model !== MODELS.openai) assert.equal(second.conversation.id, made.id);
  // Two turns of a user are one, where the protocol knows no others.
  assert.equal(text(second).replaceAll('\n', ' | '), recalled(model, [ADA, TEA], 1));
  const items = await all(gpt.conversations.items.list(made.id, { order: 'asc', limit: 2 }));
  assert.deepEqual(items.map((item) => item.content[0].text), [ADA, TEA, text(first), 'RECALL', text(second)]);
  const both = { model, input: 'Hi', conversation: made.id, previous_response_id: second.id };
  await assert.rejects(gpt.responses.create(both), OpenAI.BadRequestError);
});

test('state: a conversation and its items can be changed', async () => {
  const made = await gpt.conversations.create({ items: user(ADA) });
  assert.deepEqual((await gpt.conversations.update(made.id, { metadata: { topic: 'tea' } })).metadata, { topic: 'tea' });
  assert.deepEqual((await gpt.conversations.retrieve(made.id)).metadata, { topic: 'tea' });
  const { data } = await gpt.conversations.items.create(made.id, { items: user(TEA) });
  const place = { conversation_id: made.id };
  assert.equal((await gpt.conversations.items.retrieve(data[0].id, place)).content[0].text, TEA);
  await gpt.conversations.items.delete(data[0].id, place);
  await assert.rejects(gpt.conversations.items.retrieve(data[0].id, place), OpenAI.NotFoundError);
  assert.equal((await gpt.conversations.delete(made.id)).deleted, true);
  await assert.rejects(gpt.conversations.retrieve(made.id), OpenAI.NotFoundError);
});
