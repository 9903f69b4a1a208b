import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
let finish: Map<string, () => void>;
let order: string[];
beforeEach(async () => {
  h = harness({ limits: { sessionIdleMs: 60_000 } });
  finish = new Map();
  order = [];
  h.orchestrator.workflow('turn', (ctx, input: { name: string }) => {
    order.push(input.name);
    return new Promise((resolve, reject) => {
      finish.set(input.name, () => resolve({ content: `answer to ${input.name}` }));
      ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error));
    });
  });
  await h.orchestrator.start();
});
afterEach(() => h.stop());

function turn(name: string, more: object = {}) {
  return h.acme.tasks.submit({ type: 'turn', session_id: 's', payload: { name }, ...more });
}

describe('one task of a session at a time', () => {
  it('run in order of submission', async () => {
    const tasks = [await turn('a'), await turn('b'), await turn('c')];
    await settled();
    for (const name of ['a', 'b', 'c']) {
      expect(order.at(-1)).toBe(name);
      finish.get(name)?.();
      await settled();
    }
    for (const task of tasks) expect(await h.ended(task)).toMatchObject({ status: 'completed' });
  });

  it('also while one waits for its next attempt', async () => {
    let failed = false;
    h.orchestrator.workflow('fails_once', () => {
      if (failed) return 'done';
      failed = true;
      throw Object.assign(new Error('busy'), { retryable: true });
    });
    const first = await h.acme.tasks.submit({ type: 'fails_once', session_id: 's' });
    await turn('behind');
    await settled();
    expect(await h.ended(first)).toMatchObject({ status: 'pending', attempt: 1 });
    expect(order).toEqual([]);
    await h.clock.advance(2_000);
    expect(await h.ended(first)).toMatchObject({ status: 'completed', attempt: 2 });
    expect(order).toEqual(['behind']);
  });

  it('a scheduled task does not wait in the session before its time', async () => {
    await turn('later', { run_at: new Date(h.clock.now() + 60_000).toISOString() });
    await turn('now');
    await settled();
    expect(order).toEqual(['now']);
    await h.clock.advance(60_000);
    expect(order).toEqual(['now']);
    finish.get('now')?.();
    await settled();
    expect(order).toEqual(['now', 'later']);
  });

  it('the first has the highest priority behind it', async () => {
    const single = h.another({ concurrency: 1 });
    single.workflow('turn', (_, input: { name: string }) => {
      order.push(input.name);
      return null;
    });
    await h.orchestrator.stop({ graceMs: 0 });
    await turn('head', { priority: 0 });
    for (let n = 0; n < 5; n += 1) await turn(`other-${n}`, { session_id: `other-${n}`, priority: 4 });
    await turn('urgent', { priority: 9 });
    await single.start();
    await settled(500);
    expect(order.slice(0, 2)).toEqual(['head', 'urgent']);
  });
});

describe('on_busy', () => {
  it('reject refuses while a task is live', async () => {
    await turn('a');
    await settled();
    await expect(turn('b', { on_busy: 'reject' })).rejects.toMatchObject({ code: 'session_busy' });
    finish.get('a')?.();
    await settled();
    await turn('c', { on_busy: 'reject' });
    await settled();
    expect(order).toEqual(['a', 'c']);
  });

  it('interrupt cancels the running task', async () => {
    const first = await turn('a');
    await settled();
    await turn('b', { on_busy: 'interrupt' });
    await settled();
    expect(await h.ended(first)).toMatchObject({
      status: 'cancelled',
      error: { message: 'interrupted by a newer message' },
    });
    expect(order).toEqual(['a', 'b']);
  });

  it('parallel bypasses the session', async () => {
    await turn('a');
    await turn('b', { on_busy: 'parallel' });
    await turn('c');
    await settled();
    expect(order).toEqual(['a', 'b']);
    finish.get('a')?.();
    await settled();
    expect(order).toEqual(['a', 'b', 'c']);
  });
});

describe('a session', () => {
  it('is updated by compare-and-set', async () => {
    const { session } = await h.acme.sessions.create({
      session_id: 'c',
      context: { plan: 'free', city: 'Lugo' },
    });
    const changed = await h.acme.sessions.update(
      'c',
      { context: { plan: 'paid', city: null } },
      { rev: session.rev },
    );
    expect(changed).toMatchObject({ context: { plan: 'paid' }, rev: session.rev + 1 });
    await expect(h.acme.sessions.update('c', { context: {} }, { rev: session.rev })).rejects.toMatchObject({
      code: 'conflict',
    });
  });

  it('that is closed accepts no task, and cancels live ones', async () => {
    const running = await turn('a');
    const waiting = await turn('b');
    await settled();
    expect(await h.acme.sessions.close('s')).toMatchObject({ status: 'closed' });
    expect(await h.ended(running)).toMatchObject({ status: 'cancelled' });
    expect(await h.ended(waiting)).toMatchObject({ status: 'cancelled' });
    expect(order).toEqual(['a']);
    await expect(turn('c')).rejects.toMatchObject({ code: 'session_closed' });
    await expect(h.acme.sessions.update('s', { context: {} })).rejects.toMatchObject({
      code: 'session_closed',
    });
  });

  it('keeps its newest 200 messages', async () => {
    await h.acme.sessions.create({ session_id: 'long' });
    for (let n = 0; n < 205; n += 1) await h.acme.sessions.append('long', { role: 'user', content: `m${n}` });
    const messages = await h.acme.sessions.messages('long', { limit: 500 });
    expect(messages).toHaveLength(200);
    expect(messages[0]?.content).toBe('m5');
    const page = await h.acme.sessions.messages('long', { limit: 2, before: messages[10]?.message_id ?? '' });
    expect(page.map((message) => message.content)).toEqual(['m13', 'm14']);
  });

  it('is closed after inactivity, but not with a live task', async () => {
    const task = await turn('a');
    await h.clock.advance(90_000);
    expect((await h.acme.sessions.get('s')).session.status).toBe('active');
    finish.get('a')?.();
    expect(await h.ended(task)).toMatchObject({ status: 'completed' });
    await h.clock.advance(62_000);
    expect((await h.acme.sessions.get('s')).session.status).toBe('closed');
  });

  it('message and task are stored in one step, the answer with the end of the task', async () => {
    h.orchestrator.service('agent_execution', {
      run: (call) => ({ content: `you said ${(call.input as { message: string }).message}` }),
    });
    const { task } = await h.acme.chat({ message: 'hello', session_id: 'chat' });
    expect((await h.acme.sessions.messages('chat')).map(({ content }) => content)).toEqual(['hello']);
    await h.ended(task);
    const messages = await h.acme.sessions.messages('chat');
    expect(messages.map(({ role, content, task_id }) => ({ role, content, task_id }))).toEqual([
      { role: 'user', content: 'hello', task_id: task.task_id },
      { role: 'assistant', content: 'you said hello', task_id: task.task_id },
    ]);
  });
});

describe('the list of sessions', () => {
  it('continues after a page, and refuses an invalid cursor', async () => {
    for (const session_id of ['a', 'b', 'c']) await h.acme.sessions.create({ session_id });
    const { sessions, next } = await h.acme.sessions.list({ limit: 2 });
    expect(sessions.map(({ session_id }) => session_id)).toEqual(['c', 'b']);
    const rest = await h.acme.sessions.list({ cursor: next ?? '' });
    expect(rest.sessions.map(({ session_id }) => session_id)).toEqual(['a']);
    await expect(h.acme.sessions.list({ cursor: 'garbage' })).rejects.toMatchObject({
      code: 'invalid_request',
      message: 'cursor: expected the "next" of a page, got "garbage"',
    });
  });
});
