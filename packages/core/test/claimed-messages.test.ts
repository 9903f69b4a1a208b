import { afterEach, beforeEach, expect, it } from 'vitest';
import type { WorkflowContext } from '../src/index.js';
import { type Harness, harness } from './harness.js';

let h: Harness;
let reads: number;
beforeEach(() => {
  h = harness();
  reads = 0;
  const { sessions } = h.storage;
  const messages = sessions.messages.bind(sessions);
  sessions.messages = (params) => {
    reads += 1;
    return messages(params);
  };
});
afterEach(() => h.stop());

const SESSION = { session_id: 's' };

/** Runs a function as one turn of a chat after the other; returns the results, and how often each has read messages. */
async function turns(fn: (ctx: WorkflowContext) => unknown, count: number) {
  h.orchestrator.workflow('agent_execution', async (ctx: WorkflowContext) => fn(ctx));
  await h.orchestrator.start();
  const ended: { readonly reads: number; readonly result: unknown }[] = [];
  for (let turn = 1; turn <= count; turn += 1) {
    reads = 0;
    const { task } = await h.acme.chat({ message: `question ${turn}`, ...SESSION });
    const { result } = await h.ended(task);
    ended.push({ reads, result });
  }
  return ended;
}

const contents = async (ctx: WorkflowContext, limit?: number) =>
  (await ctx.session.messages(limit === undefined ? {} : { limit })).map(({ content }) => content);

it('the second turn of a chat reads no messages: they come with its claim', async () => {
  const ended = await turns(async (ctx) => ({ content: (await contents(ctx)).join() }), 3);
  expect(ended).toEqual([
    { reads: 1, result: { content: 'question 1' } },
    { reads: 0, result: { content: 'question 1,question 1,question 2' } },
    {
      reads: 0,
      result: { content: 'question 1,question 1,question 2,question 1,question 1,question 2,question 3' },
    },
  ]);
});

it('a run that asks for fewer messages gets the newest of them', async () => {
  const ended = await turns((ctx) => contents(ctx, 1), 2);
  expect(ended[1]).toEqual({ reads: 0, result: ['question 2'] });
});

it('a run that asks for more messages than have come reads them', async () => {
  await h.stop();
  h = harness({ limits: { claimedMessages: 1 } });
  const all = (await turns((ctx) => contents(ctx, 2), 2)).map(({ result }) => result);
  expect(all).toEqual([['question 1'], ['question 1', 'question 2']]);
});

it.each<[string, (ctx: WorkflowContext) => unknown]>([
  ['another step', (ctx) => ctx.run('other', () => 1)],
  ['another promise', () => Promise.resolve()],
  ['a message of its own', (ctx) => ctx.session.append({ role: 'system', content: 'own' })],
])('a run that awaits %s first reads what is there then', async (_, first) => {
  const ended = await turns(async (ctx) => {
    // The type is known to read messages first.
    if ((await ctx.session.messages()).length === 0) return [];
    await first(ctx);
    return contents(ctx, 1);
  }, 2);
  expect(ended[1]?.reads).toBe(1);
});

it('a run sees what it has appended itself', async () => {
  const ended = await turns(async (ctx) => {
    const before = ctx.session.messages();
    await ctx.session.append({ role: 'system', content: 'own' });
    return [(await before).length, ...(await contents(ctx, 1))];
  }, 2);
  expect(ended.map(({ result }) => result)).toEqual([
    [1, 'own'],
    [3, 'own'],
  ]);
});

it('an invalid limit is refused with messages from the claim as well', async () => {
  const refusal = (ctx: WorkflowContext) =>
    ctx.session.messages({ limit: 0 }).catch((error: { readonly message: string }) => error.message);
  const ended = await turns(async (ctx) => (await ctx.session.messages()) && [await refusal(ctx)], 1);
  await h.stop();
  h = harness();
  const first = await turns(refusal, 2);
  const expected = 'limit: expected 1 to 500, got 0';
  expect([ended[0]?.result, ...first.map(({ result }) => result)]).toEqual([[expected], expected, expected]);
});
