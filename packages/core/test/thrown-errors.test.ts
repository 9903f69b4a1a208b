import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  OrchestratorError,
  type OrchestratorOptions,
  type Task,
  type WorkflowFunction,
} from '../src/index.js';
import { type Harness, harness } from './harness.js';

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const SECRET = 'password of db-7';
const UNEXPECTED = /^unexpected error in (workflow|step) ".*"; operators find its text with the task$/;

let h: Harness;
let lines: Line[];

function begin(options: OrchestratorOptions = {}): void {
  lines = [];
  const at =
    (level: string) =>
    (message: string, fields: Line['fields'] = {}) => {
      lines.push({ level, message, fields });
    };
  const logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  h = harness({ logger, ...options });
}
beforeEach(() => begin());
afterEach(() => h.stop());

async function ended(fn: WorkflowFunction, body: object = {}): Promise<Task> {
  h.orchestrator.workflow('odd', fn);
  await h.orchestrator.start();
  const { task_id } = await h.acme.tasks.submit({ type: 'odd', ...body });
  await h.clock.advance(60_000);
  return h.acme.tasks.get(task_id);
}

/** Everything that a tenant can see of a task. */
async function seen({ task_id }: Task): Promise<string> {
  const events: unknown[] = [];
  for await (const event of h.acme.events.follow({ task_id })) events.push(event);
  return JSON.stringify([await h.acme.tasks.get(task_id), events]);
}

const failures = () => lines.filter(({ message }) => /^task (attempt )?failed$/.test(message));

class Careless extends Error {
  override get message(): string {
    throw new Error('not even its message');
  }
}
const hostile: unknown = new Proxy(
  {},
  {
    get: () => {
      throw new Error('leave me');
    },
    getPrototypeOf: () => {
      throw new Error('leave me');
    },
  },
);
const cycle = new Error('around');
cycle.cause = cycle;

const ownMessage: { message?: unknown } = {};
ownMessage.message = ownMessage;
const ofItself = new AggregateError([]);
ofItself.errors = [ofItself];
/** Shares its parts: as a tree it would have 3^40 leaves. */
let shared = new AggregateError([]);
for (let depth = 0; depth < 40; depth += 1) shared = new AggregateError([shared, shared, shared]);
const thrice = (words: string) => `3 errors: ${[words, words, words].join('; ')}`;
const ownSlice = new AggregateError(['one', 'two']);
ownSlice.errors = Object.assign(['one', 'two'], { slice: () => 1, [Symbol.iterator]: undefined });

/** What is thrown, and what operators read of it. */
const ODD: readonly (readonly [name: string, thrown: unknown, words: string])[] = [
  ['an error', new TypeError('x is not a function'), 'x is not a function'],
  ['an error without a message', new RangeError(), 'RangeError without a message'],
  ['an error whose message throws', new Careless(), 'Error without a message'],
  ['an error that is its own cause', cycle, 'around'],
  ['several errors', new AggregateError([new Error('one'), 'two']), '2 errors: one; two'],
  ['an object that is its own message', ownMessage, 'an error within errors'],
  ['an error of itself', ofItself, '1 errors: 1 errors: 1 errors: an error within errors'],
  ['errors that share their errors', shared, thrice(thrice(thrice('an error within errors')))],
  ['errors in an array with its own methods', ownSlice, '2 errors: one; two'],
  ['a text', 'no', 'no'],
  ['an empty text', '', 'an empty text was thrown'],
  ['undefined', undefined, 'undefined was thrown'],
  ['null', null, 'null was thrown'],
  ['a number', 0, '0'],
  ['a bigint', 7n, '7'],
  ['a symbol', Symbol('s'), 'Symbol(s)'],
  ['an object', { reason: 'full' }, '{"reason":"full"}'],
  ['an object with a message', { message: 'from elsewhere' }, 'from elsewhere'],
  ['an object without anything', Object.create(null), 'an object without a message'],
  ['a function', () => 1, 'a function was thrown'],
  ['a Proxy that throws', hostile, 'an object without a message'],
  ['half a character', new Error('\uD800'), '\uFFFD'],
  ['a long text', 'x'.repeat(5_000), 'x'.repeat(2_000)],
];

describe('any thrown value ends the task with a message', () => {
  const raise = (thrown: unknown) => {
    throw thrown;
  };

  it.each(ODD)('in a workflow: %s', async (_, thrown, words) => {
    const task = await ended(async () => raise(thrown));
    expect(task).toMatchObject({
      status: 'failed',
      attempt: 1,
      error: { code: 'workflow_error', message: expect.stringMatching(UNEXPECTED), retryable: false },
    });
    const { diagnostic } = await h.acme.tasks.explain(task.task_id);
    expect(diagnostic?.message).toBe(words);
    expect(failures()).toMatchObject([{ level: 'error', fields: { taskId: task.task_id, error: words } }]);
  });

  it.each(ODD)('in ctx.run: %s', async (_, thrown, words) => {
    const caught: string[] = [];
    const task = await ended(async (ctx) => {
      const step = ctx.run('own', () => raise(thrown));
      await step.catch((error: OrchestratorError) => caught.push(`${error.code}: ${error.message}`));
      return step;
    });
    // The workflow may read the text; tenants may not.
    expect(caught).toEqual([`workflow_error: ${words}`]);
    expect(task).toMatchObject({
      status: 'failed',
      error: { code: 'workflow_error', message: expect.stringMatching(UNEXPECTED) },
    });
    expect((await h.acme.tasks.explain(task.task_id)).diagnostic?.message).toBe(words);
  });

  it.each(ODD)('in an in-process service: %s', async (_, thrown, words) => {
    h.orchestrator.service('mine', { run: () => raise(thrown) });
    const task = await ended((ctx) => ctx.call('mine', 'work'));
    expect(task).toMatchObject({
      status: 'failed',
      error: { code: 'service_error', message: expect.stringMatching(UNEXPECTED) },
    });
    expect((await h.acme.tasks.explain(task.task_id)).diagnostic?.message).toBe(words);
  });
});

describe('the message of an error', () => {
  const fail = () => {
    throw new Error(SECRET, { cause: new Error('socket closed', { cause: 'cable out' }) });
  };

  it.each([
    ['a workflow', fail],
    ['ctx.run', (ctx) => ctx.run('own', fail)],
    ['a service', (ctx) => ctx.call('mine', 'work')],
  ] satisfies [string, WorkflowFunction][])('that %s throws is not for tenants', async (_, fn) => {
    h.orchestrator.service('mine', { run: fail });
    const task = await ended(fn);
    expect(task.status).toBe('failed');
    expect(await seen(task)).not.toMatch(/password|socket|cable|thrown-errors/);
    expect((await h.acme.tasks.explain(task.task_id)).diagnostic).toMatchObject({ message: SECRET });
  });

  it('that is retryable is neither in the events between attempts nor in the final one', async () => {
    const task = await ended(
      async () => {
        throw Object.assign(new Error(SECRET), { retryable: true });
      },
      { max_attempts: 2 },
    );
    expect(task).toMatchObject({ status: 'failed', attempt: 2, error: { code: 'attempts_exhausted' } });
    const text = await seen(task);
    expect(text).toContain('retrying');
    expect(text).not.toContain('password');
    expect((await h.acme.tasks.explain(task.task_id)).diagnostic).toMatchObject({ message: SECRET });
  });

  it('of an OrchestratorError is public', async () => {
    const task = await ended(async () => {
      const options = { cause: new Error(SECRET), retryable: false };
      throw new OrchestratorError('budget_exceeded', 'too dear', options);
    });
    expect(task.error).toMatchObject({ code: 'budget_exceeded', message: 'too dear' });
    expect(await seen(task)).not.toContain('password');
    expect((await h.acme.tasks.explain(task.task_id)).diagnostic?.causes).toEqual([SECRET]);
  });

  it('is public where the host allows it, but not its causes and stack', async () => {
    await h.stop();
    begin({ exposeErrors: true });
    const task = await ended(fail);
    expect(task.error).toMatchObject({ code: 'workflow_error', message: SECRET });
    const text = await seen(task);
    expect(text).toContain(SECRET);
    expect(text).not.toMatch(/socket|cable|thrown-errors/);
  });
});

describe('the log', () => {
  it('has one entry for a failed task: ids, code, message, causes and stack', async () => {
    const task = await ended(
      async () => {
        throw new Error(SECRET, { cause: new Error('socket closed', { cause: 'cable out' }) });
      },
      { session_id: 's-1' },
    );
    expect(failures()).toEqual([
      {
        level: 'error',
        message: 'task failed',
        fields: {
          ...{ tenantId: 'acme', taskId: task.task_id, sessionId: 's-1', type: 'odd', attempt: 1 },
          workerId: expect.any(String),
          ...{ code: 'workflow_error', error: SECRET },
          causes: ['socket closed', 'cable out'],
          stack: expect.stringContaining('thrown-errors.test.ts'),
        },
      },
    ]);
  });

  it('has an entry for each failed attempt, and one for the task', async () => {
    const task = await ended(
      async (ctx) => {
        throw Object.assign(new Error(`try ${ctx.attempt}`), { retryable: true });
      },
      { max_attempts: 3 },
    );
    const received = failures().map(({ level, message, fields }) => [
      ...[level, message, fields['attempt'], fields['error'], fields['taskId']],
    ]);
    expect(received).toEqual([
      ['warn', 'task attempt failed', 1, 'try 1', task.task_id],
      ['warn', 'task attempt failed', 2, 'try 2', task.task_id],
      ['error', 'task failed', 3, 'try 3', task.task_id],
    ]);
  });

  it('has no entry for a task that completed or was cancelled', async () => {
    h.orchestrator.workflow('quick', async () => 1);
    h.orchestrator.workflow('waits', (ctx) => ctx.waitForSignal('go'));
    await h.orchestrator.start();
    const { tasks } = h.acme;
    await tasks.submit({ type: 'quick' });
    const { task_id } = await tasks.submit({ type: 'waits' });
    await h.clock.advance(1_000);
    await tasks.cancel(task_id);
    await h.clock.advance(60_000);
    expect(await tasks.counts()).toMatchObject({ completed: 1, cancelled: 1 });
    expect(failures()).toEqual([]);
  });
});
