// What the tests share: where the demo listens, the clients, a picture.

import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';

export const KEY = 'sk-demo';
export const URL_ROOT = process.env.TOROUTER_URL?.replace(/\/$/, '');
if (!URL_ROOT) throw new Error('TOROUTER_URL is not set: run tests/sdk/run.sh');

export const MOUNTS = ['', '/api'];
const timeout = 30_000;

// One white pixel.
export const PNG_BASE64 =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4//8/AAX+Av4zEpUUAAAAAElFTkSuQmCC';
export const PNG = Buffer.from(PNG_BASE64, 'base64');

// The only word of more than three letters is the one that the simulator puts into a tool's arguments.
export const TURNS = [
  ['In Paris?', 'Paris', '18 degrees'],
  ['So in Rome?', 'Rome', '25 degrees'],
  ['Or in Oslo?', 'Oslo', '7 degrees'],
];
export const ASK_PARIS = TURNS[0][0];
export const ODD_TEXT = 'Grüße \u{1f980} "quoted" \\ line\nnext';

export const said = (model, text) => `Hello from ${model}. You said: ${text}`;
export const toolsSaid = (model, text) => `Hello from ${model}. The tools answered: ${text}`;
/** The answer to a text that begins with `RECALL`: what was said before it, so far as it was sent. */
export const recalled = (model, texts, answers = 0, results = 0) =>
  `Hello from ${model}. Before this you said: ${texts.join(' | ') || 'nothing'}. Answers: ${answers}. Tool results: ${results}.`;
export const user = (content) => [{ role: 'user', content }];

export const openai = (mount = '', apiKey = KEY) =>
  new OpenAI({ baseURL: `${URL_ROOT}${mount}/v1`, apiKey, maxRetries: 0, timeout });

export const anthropic = (mount = '', apiKey = KEY) =>
  new Anthropic({ baseURL: `${URL_ROOT}${mount}`, apiKey, maxRetries: 0, timeout });

export const google = (mount = '', apiKey = KEY, apiVersion = undefined) =>
  new GoogleGenAI({ apiKey, vertexai: false, apiVersion, httpOptions: { baseUrl: `${URL_ROOT}${mount}`, timeout } });

/** All items of an async iterable. */
export async function all(iterable) {
  const out = [];
  for await (const item of iterable) out.push(item);
  return out;
}

/** Runs the test on both mounts. */
export function eachMount(test, name, run) {
  for (const mount of MOUNTS) test(`${name} [${mount || '/'}]`, () => run(mount));
}
