// The `openai` SDK.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI, { toFile } from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { all, ASK_PARIS, eachMount, ODD_TEXT, openai, PNG, PNG_BASE64, said, toolsSaid, TURNS, user } from './helpers.mjs';

const MODEL = 'gpt-5';
const ROUTER = 'anthropic/claude-opus-4.7';
const PARAMETERS = {
  type: 'object',
  properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['celsius', 'fahrenheit'] } },
  required: ['city', 'unit'],
  additionalProperties: false,
};
const WEATHER = { type: 'function', function: { name: 'get_weather', strict: true, parameters: PARAMETERS } };
const FLAT_WEATHER = { type: 'function', name: 'get_weather', strict: true, parameters: PARAMETERS };
const TIME = {
  type: 'function',
  function: {
    name: 'get_time',
    parameters: { type: 'object', properties: { zone: { type: 'string' } }, required: ['zone'] },
  },
};
const Report = z.object({ city: z.string(), days: z.array(z.number().int()) });
const gpt = openai();

const chatText = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
const responseText = (events) =>
  events
    .filter((event) => event.type === 'response.output_text.delta')
    .map((event) => event.delta)
    .join('');

eachMount(test, 'chat, whole and streamed', async (mount) => {
  const client = openai(mount);
  const { data: whole, response, request_id } = await client.chat.completions
    .create({ model: MODEL, messages: user(ODD_TEXT) })
    .withResponse();
  assert.equal(whole.choices[0].message.content, said(MODEL, ODD_TEXT));
  assert.equal(whole.choices[0].finish_reason, 'stop');
  assert.ok(whole.usage.prompt_tokens > 0 && whole.usage.completion_tokens > 0);
  assert.equal(response.headers.get('x-torouter-channel'), 'openai-sim');
  assert.ok(request_id);
  assert.equal(whole._request_id, request_id);
  const stream = await client.chat.completions.create({
    model: MODEL,
    messages: user(ODD_TEXT),
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = await all(stream);
  assert.ok(chunks.length > 5);
  assert.equal(chatText(chunks), whole.choices[0].message.content);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.deepEqual(chunks.at(-1).usage, whole.usage);
});

test('a stream without usage gets none', async () => {
  const chunks = await all(await gpt.chat.completions.create({ model: MODEL, messages: user('Hi'), stream: true }));
  assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
  assert.equal(chatText(chunks), said(MODEL, 'Hi'));
});

test('chat: stream helper', async () => {
  const stream = gpt.chat.completions.stream({ model: MODEL, messages: user('Hello there') });
  const deltas = [];
  stream.on('content', (delta) => deltas.push(delta));
  assert.equal(await stream.finalContent(), said(MODEL, 'Hello there'));
  assert.equal(deltas.join(''), said(MODEL, 'Hello there'));
});

test('chat: a stream can be aborted', async () => {
  const stream = await gpt.chat.completions.create({ model: MODEL, messages: user('many words '.repeat(50)), stream: true });
  for await (const chunk of stream) {
    assert.ok(chunk.choices);
    stream.controller.abort();
  }
  const after = await gpt.chat.completions.create({ model: MODEL, messages: user('Hi') });
  assert.equal(after.choices[0].message.content, said(MODEL, 'Hi'));
});

for (const streamed of [false, true]) {
  test(`chat: tool loop of three turns, ${streamed ? 'streamed' : 'whole'}`, async () => {
    const messages = [];
    const turn = async () => {
      const body = { model: MODEL, messages, tools: [WEATHER, TIME] };
      const choice = streamed
        ? (await gpt.chat.completions.stream(body).finalChatCompletion()).choices[0]
        : (await gpt.chat.completions.create(body)).choices[0];
      messages.push(choice.message);
      return choice;
    };
    for (const [question, city, degrees] of TURNS) {
      messages.push(...user(question));
      const asked = await turn();
      assert.equal(asked.finish_reason, 'tool_calls');
      const [call, ...more] = asked.message.tool_calls;
      assert.equal(more.length, 0);
      assert.equal(call.function.name, 'get_weather');
      assert.deepEqual(JSON.parse(call.function.arguments), { city, unit: 'celsius' });
      messages.push({ role: 'tool', tool_call_id: call.id, content: degrees });
      assert.equal((await turn()).message.content, toolsSaid(MODEL, degrees));
    }
  });
}

test('chat: parallel tools', async () => {
  const body = { model: MODEL, messages: user('Both in Paris'), tools: [WEATHER, TIME] };
  const whole = await gpt.chat.completions.create(body);
  const streamed = await gpt.chat.completions.stream(body).finalChatCompletion();
  for (const answer of [whole, streamed]) {
    const calls = answer.choices[0].message.tool_calls;
    assert.deepEqual(calls.map((call) => call.function.name), ['get_weather', 'get_time']);
    assert.deepEqual(JSON.parse(calls[0].function.arguments), { city: 'Paris', unit: 'celsius' });
  }
});

test('chat: runTools', async () => {
  const asked = [];
  const runner = gpt.chat.completions.runTools({
    model: MODEL,
    messages: user(ASK_PARIS),
    tools: [
      {
        type: 'function',
        function: {
          name: 'get_weather',
          parameters: PARAMETERS,
          parse: JSON.parse,
          function: ({ city }) => (asked.push(city), '18 degrees'),
        },
      },
    ],
  });
  assert.equal(await runner.finalContent(), toolsSaid(MODEL, '18 degrees'));
  assert.deepEqual(asked, ['Paris']);
});

test('chat: parse', async () => {
  const body = { model: MODEL, messages: user(ASK_PARIS), response_format: zodResponseFormat(Report, 'report') };
  const expected = { city: 'Paris', days: [1] };
  assert.deepEqual((await gpt.chat.completions.parse(body)).choices[0].message.parsed, expected);
  const streamed = await gpt.chat.completions.stream(body).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].message.parsed, expected);
});

test('chat: picture', async () => {
  const parts = [
    { type: 'text', text: 'What is this?' },
    { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG_BASE64}` } },
  ];
  const answer = await gpt.chat.completions.create({ model: 'gpt-4o', messages: user(parts) });
  assert.equal(answer.choices[0].message.content, said('gpt-4o', 'What is this?'));
  assert.ok(answer.usage.prompt_tokens > 80);
});

test('chat: reasoning, by parameter and by suffix', async () => {
  const messages = user('Think');
  for (const body of [{ model: MODEL, reasoning_effort: 'low' }, { model: `${MODEL}-thinking` }]) {
    const answer = await gpt.chat.completions.create({ messages, ...body });
    assert.equal(answer.choices[0].message.content, said(MODEL, 'Think'));
    assert.ok(answer.usage.completion_tokens_details.reasoning_tokens > 0);
  }
});

test('openrouter: chat, stream, reasoning, responses', async () => {
  const messages = user('Think');
  const { data: whole, response } = await gpt.chat.completions
    .create({ model: `${ROUTER}-thinking`, messages })
    .withResponse();
  assert.equal(response.headers.get('x-torouter-channel'), 'openrouter-sim');
  assert.equal(whole.choices[0].message.content, said(ROUTER, 'Think'));
  assert.ok(whole.choices[0].message.reasoning);
  assert.ok(whole.usage.completion_tokens_details.reasoning_tokens > 0);
  const chunks = await all(
    await gpt.chat.completions.create({ model: ROUTER, messages, stream: true, reasoning: { effort: 'low' } }),
  );
  assert.equal(chatText(chunks), said(ROUTER, 'Think'));
  const thought = chunks.map((chunk) => chunk.choices[0]?.delta.reasoning ?? '').join('');
  assert.equal(thought, whole.choices[0].message.reasoning);
  const answer = await gpt.responses.create({ model: ROUTER, input: 'Hi' });
  assert.equal(answer.output_text, said(ROUTER, 'Hi'));
  const events = await all(await gpt.responses.create({ model: ROUTER, input: 'Hi', stream: true }));
  assert.equal(responseText(events), answer.output_text);
  assert.equal(events.at(-1).response.usage.total_tokens, answer.usage.total_tokens);
});

eachMount(test, 'responses, whole and streamed', async (mount) => {
  const client = openai(mount);
  const whole = await client.responses.create({ model: MODEL, input: ODD_TEXT });
  assert.equal(whole.output_text, said(MODEL, ODD_TEXT));
  assert.ok(whole.usage.input_tokens > 0 && whole.usage.output_tokens > 0);
  assert.ok(whole._request_id);
  const stream = client.responses.stream({ model: MODEL, input: ODD_TEXT });
  const events = await all(stream);
  const final = await stream.finalResponse();
  assert.equal(responseText(events), whole.output_text);
  assert.equal(final.output_text, whole.output_text);
  assert.deepEqual(final.usage, whole.usage);
});

test('responses on other platforms, whole and streamed', async () => {
  const client = openai('');
  for (const model of ['claude-opus-4-7', 'gemini-2.5-flash']) {
    const whole = await client.responses.create({ model, input: ODD_TEXT });
    assert.equal(whole.output_text, said(model, ODD_TEXT));
    const final = await client.responses.stream({ model, input: ODD_TEXT }).finalResponse();
    assert.equal(final.output_text, whole.output_text);
  }
});

eachMount(test, 'responses: stored', async (mount) => {
  const client = openai(mount);
  const made = await client.responses.create({ model: MODEL, input: 'Keep this' });
  assert.equal((await client.responses.retrieve(made.id)).output[0].content[0].text, said(MODEL, 'Keep this'));
  const items = await all(client.responses.inputItems.list(made.id));
  assert.deepEqual(items.map((item) => item.content[0].text), ['Keep this']);
  await client.responses.delete(made.id);
  await assert.rejects(client.responses.retrieve(made.id), OpenAI.NotFoundError);
});

test('responses: tool loop by previous_response_id', async () => {
  let previous_response_id;
  for (const [question, city, degrees] of TURNS) {
    const body = { model: MODEL, tools: [FLAT_WEATHER] };
    const asked = await gpt.responses.create({ ...body, input: question, previous_response_id });
    const [call] = asked.output;
    assert.equal(call.type, 'function_call');
    assert.equal(call.name, 'get_weather');
    assert.deepEqual(JSON.parse(call.arguments), { city, unit: 'celsius' });
    const input = [{ type: 'function_call_output', call_id: call.call_id, output: degrees }];
    const answer = await gpt.responses.create({ ...body, input, previous_response_id: asked.id });
    assert.equal(answer.output_text, toolsSaid(MODEL, degrees));
    previous_response_id = answer.id;
  }
});

test('responses: stateless with reasoning', async () => {
  const body = {
    model: MODEL,
    tools: [FLAT_WEATHER],
    store: false,
    include: ['reasoning.encrypted_content'],
    reasoning: { effort: 'low', summary: 'auto' },
  };
  const asked = await gpt.responses.stream({ ...body, input: user(ASK_PARIS) }).finalResponse();
  const [thought, call] = asked.output;
  assert.ok(thought.type === 'reasoning' && thought.encrypted_content && thought.summary[0].text);
  assert.ok(asked.usage.output_tokens_details.reasoning_tokens > 0);
  const { type, call_id, name } = call;
  const input = [
    ...user(ASK_PARIS),
    thought,
    { type, call_id, name, arguments: call.arguments },
    { type: 'function_call_output', call_id, output: '18 degrees' },
  ];
  const answer = await gpt.responses.create({ ...body, input });
  assert.equal(answer.output_text, toolsSaid(MODEL, '18 degrees'));
});

test('responses: parse, suffix, input tokens', async () => {
  const parsed = await gpt.responses.parse({
    model: MODEL,
    input: ASK_PARIS,
    text: { format: zodTextFormat(Report, 'report') },
  });
  assert.deepEqual(parsed.output_parsed, { city: 'Paris', days: [1] });
  const thinking = await gpt.responses.create({ model: `${MODEL}-thinking`, input: 'Think' });
  assert.ok(thinking.usage.output_tokens_details.reasoning_tokens > 0);
  const counted = await gpt.responses.inputTokens.count({ model: MODEL, input: 'Think' });
  assert.equal(counted.input_tokens, thinking.usage.input_tokens);
});

test('responses: background, cancelled', async () => {
  let cancelled;
  // The simulator is done after 300 ms: on a busy machine the first try may come too late.
  for (let tries = 0; tries < 5 && cancelled?.status !== 'cancelled'; tries += 1) {
    const made = await gpt.responses.create({ model: MODEL, input: 'Take your time', background: true });
    assert.ok(['queued', 'in_progress'].includes(made.status));
    cancelled = await gpt.responses.cancel(made.id);
  }
  assert.equal(cancelled.status, 'cancelled');
});

eachMount(test, 'embeddings', async (mount) => {
  const client = openai(mount);
  const input = ['one', 'two'];
  // The SDK asks for base64 unless told otherwise, and decodes it.
  const packed = await client.embeddings.create({ model: 'text-embedding-3-small', input });
  const plain = await client.embeddings.create({ model: 'text-embedding-3-small', input, encoding_format: 'float' });
  assert.deepEqual(packed.data.map((item) => item.embedding.length), [1536, 1536]);
  packed.data[1].embedding.forEach((value, at) => assert.ok(Math.abs(value - plain.data[1].embedding[at]) < 1e-6));
  assert.ok(packed.usage.total_tokens > 0);
  const short = await client.embeddings.create({ model: 'text-embedding-3-large', input: 'one', dimensions: 256 });
  assert.equal(short.data[0].embedding.length, 256);
});

eachMount(test, 'images', async (mount) => {
  const client = openai(mount);
  const picture = (name) => toFile(PNG, name, { type: 'image/png' });
  const made = await client.images.generate({ model: 'gpt-image-1', prompt: 'A white pixel', n: 2 });
  assert.equal(made.data.length, 2);
  assert.deepEqual(Buffer.from(made.data[0].b64_json, 'base64').subarray(0, 4), PNG.subarray(0, 4));
  const one = await client.images.edit({ model: 'gpt-image-1', image: await picture('a.png'), prompt: 'Darker' });
  const two = await client.images.edit({
    model: 'gpt-image-1',
    image: [await picture('a.png'), await picture('b.png')],
    mask: await picture('mask.png'),
    prompt: 'Darker',
  });
  const tokens = one.usage.input_tokens_details.image_tokens;
  assert.ok(tokens > 0);
  assert.equal(two.usage.input_tokens_details.image_tokens, 2 * tokens);
});

test('audio', async () => {
  const speech = await gpt.audio.speech.create({
    model: 'gpt-4o-mini-tts',
    voice: 'alloy',
    input: 'Say this',
    response_format: 'wav',
  });
  const sound = Buffer.from(await speech.arrayBuffer());
  assert.equal(sound.subarray(0, 4).toString(), 'RIFF');
  assert.equal(sound.readUInt32LE(4), sound.length - 8);
  const text = await gpt.audio.transcriptions.create({
    model: 'whisper-1',
    file: await toFile(sound, 'a.wav', { type: 'audio/wav' }),
  });
  assert.equal(text.text, `Hello from whisper-1. The audio has ${sound.length} bytes.`);
});

test('moderations, legacy completions', async () => {
  const checked = await gpt.moderations.create({ model: 'omni-moderation-latest', input: ['kind', 'REFUSE this'] });
  assert.deepEqual(checked.results.map((result) => result.flagged), [false, true]);
  const body = { model: 'gpt-3.5-turbo-instruct', prompt: 'Once upon a time', max_tokens: 100 };
  const whole = await gpt.completions.create(body);
  assert.equal(whole.choices[0].text, said(body.model, body.prompt));
  const chunks = await all(await gpt.completions.create({ ...body, stream: true }));
  assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(''), whole.choices[0].text);
});

eachMount(test, 'models', async (mount) => {
  const client = openai(mount);
  const ids = (await all(client.models.list())).map((model) => model.id);
  for (const id of ['gpt-5', 'claude-opus-4-7', 'gemini-2.5-flash', ROUTER]) assert.ok(ids.includes(id), id);
  assert.equal((await client.models.retrieve('gpt-5')).id, 'gpt-5');
  await assert.rejects(client.models.retrieve('nobodys-model'), OpenAI.NotFoundError);
});

eachMount(test, 'errors', async (mount) => {
  const client = openai(mount);
  const messages = user('Hi');
  const wrong = openai(mount, 'sk-wrong');
  await assert.rejects(wrong.chat.completions.create({ model: MODEL, messages }), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.equal(error.code, 'INVALID_API_KEY');
    assert.ok(error.requestID);
    return true;
  });
  const missing = 'nobodys-model';
  for (const call of [
    () => client.chat.completions.create({ model: missing, messages }),
    () => client.chat.completions.create({ model: missing, messages, stream: true }),
    () => client.responses.create({ model: missing, input: 'Hi' }),
    // Anthropic has no embeddings.
    () => client.embeddings.create({ model: 'claude-opus-4-7', input: 'one' }),
  ]) {
    await assert.rejects(call(), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.ok(['model_not_found', 'endpoint_not_found'].includes(error.code));
      return true;
    });
  }
  await assert.rejects(client.chat.completions.create({ model: MODEL, messages: [] }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, 'messages');
    return true;
  });
});
