import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  type CallStage,
  defineWorkflow,
  Orchestrator,
  OrchestratorError,
  type OutboundCall,
  type SendResult,
  type StandardSchema,
} from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = harness({
    contracts: {
      query: {
        query: {
          input: z.object({ question: z.string(), limit: z.number().default(5) }),
          result: z.object({ answer: z.string(), at: z.iso.datetime().default('2026-01-31T10:00:00Z') }),
        },
        ping: {},
      },
    },
    services: {
      query: {
        run: ({ operation, input }) => {
          received.push(input);
          return operation === 'ping' ? 'pong' : reply;
        },
      },
    },
  });
  received.length = 0;
  reply = { answer: 'yes' };
});
afterEach(() => h.stop());

const received: unknown[] = [];
let reply: unknown;

/** Ends of a task, as a caller sees it. */
async function outcome(task: { result(): Promise<unknown> }): Promise<unknown> {
  await settled();
  return task.result().catch((error: OrchestratorError) => [error.code, error.retryable, error.message]);
}

describe('contracts', () => {
  const ask = (input: unknown) =>
    defineWorkflow('ask', {}, (ctx) => ctx.call('query', 'query', input as object));

  it('fill in the defaults of inputs and results', async () => {
    await h.orchestrator.workflow(ask({ question: 'q' })).start();
    const task = await h.acme.tasks.submit(ask(0), null);
    expect(await outcome(task)).toEqual({ answer: 'yes', at: '2026-01-31T10:00:00Z' });
    expect(received).toEqual([{ question: 'q', limit: 5 }]);
  });

  it.each([
    [
      'a field of the wrong type',
      { question: 5 },
      'input of query.query at "question": expected string, got 5',
    ],
    ['no field', {}, 'input of query.query at "question": expected string, got nothing'],
    ['no object', 'q', 'input of query.query: expected object, got "q"'],
  ])('refuse an input with %s before the service is called', async (_, input, message) => {
    await h.orchestrator.workflow(ask(input)).start();
    const task = await h.acme.tasks.submit(ask(0), null);
    expect(await outcome(task)).toEqual(['invalid_request', false, message]);
    expect(received).toEqual([]);
  });

  it('fail a call whose result they refuse, without another try; the workflow may catch it', async () => {
    reply = { answer: 7 };
    h.orchestrator.workflow('catches', async (ctx) => {
      const error: unknown = await ctx
        .call('query', 'query', { question: 'q' })
        .catch((thrown: unknown) => thrown);
      return error instanceof OrchestratorError ? `${error.name} ${error.code}: ${error.message}` : 'none';
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'catches' });
    expect(await outcome(task)).toBe(
      'ServiceCallError invalid_response: result of query.query at "answer": expected string, got 7',
    );
    expect(received).toHaveLength(1);
  });

  it('check nothing of an operation without schemas', async () => {
    h.orchestrator.workflow('ping', (ctx) => ctx.call('query', 'ping', [1]));
    await h.orchestrator.start();
    expect(await outcome(await h.acme.tasks.submit({ type: 'ping' }))).toBe('pong');
    expect(received).toEqual([[1]]);
  });

  it('have no operations by inheritance from Object', async () => {
    h.orchestrator.workflow('inherits', (ctx) => ctx.call('query', 'constructor', [1]));
    await h.orchestrator.start();
    expect(await outcome(await h.acme.tasks.submit({ type: 'inherits' }))).toEqual({ answer: 'yes' });
    expect(received).toEqual([[1]]);
  });

  it.each([
    ['a JSON Schema', { type: 'object' }, 'an object'],
    ['null', null, 'null'],
    ['a text', 'string', '"string"'],
  ])('refuse %s in place of a schema', (_, schema, got) => {
    const contracts = { query: { query: { input: schema as unknown as StandardSchema } } };
    expect(() => new Orchestrator({ contracts })).toThrow(
      `contract of query.query: input: expected a Standard Schema (zod, valibot, arktype …), got ${got}`,
    );
  });
});

describe('a defined workflow', () => {
  const double = defineWorkflow(
    'double',
    {
      input: z.object({ n: z.number(), unit: z.string().default('m') }),
      output: z.object({ text: z.string() }),
    },
    (_, { n, unit }) => ({ text: n < 0 ? (5 as unknown as string) : `${2 * n} ${unit}` }),
  );

  it('gets the output of its input schema, and returns a typed result', async () => {
    await h.orchestrator.workflow(double).start();
    const task = await h.acme.tasks.submit(double, { n: 4 });
    expect(await outcome(task)).toEqual({ text: '8 m' });
    // Stored as submitted.
    expect((await task.get()).payload).toEqual({ n: 4 });
  });

  it('is submitted by a process that does not run it', async () => {
    const api = h.another({ role: 'api' });
    await h.orchestrator.workflow(double).start();
    const task = await api.tenant('acme').tasks.submit(double, { n: 4, unit: 'km' });
    expect(await outcome(task)).toEqual({ text: '8 km' });
  });

  it('refuses an invalid input at submission, by definition, by name and in a batch', async () => {
    h.orchestrator.workflow(double);
    const message = 'input of workflow "double" at "n": expected number, got "4"';
    const { tasks, batches } = h.acme;
    const refused = { code: 'invalid_request', message, retryable: false, issues: [{ path: 'n' }] };
    await expect(tasks.submit(double, { n: '4' as unknown as number })).rejects.toMatchObject(refused);
    await expect(tasks.submit({ type: 'double', payload: { n: '4' } })).rejects.toMatchObject(refused);
    const { batch } = await batches.submit({ requests: [{ type: 'double', payload: { n: '4' } }] });
    expect(batch.items[0]?.error).toEqual({ code: 'invalid_request', message, retryable: false });
    expect((await tasks.list()).tasks.filter(({ batch_id }) => batch_id === undefined)).toEqual([]);
  });

  it('fails at its start, in its first attempt, for an invalid input of a process that does not know it', async () => {
    const api = h.another({ role: 'api' });
    await h.orchestrator.workflow(double).start();
    const task = await api.tenant('acme').tasks.submit({ type: 'double', payload: { n: '4' } });
    const message = 'input of workflow "double" at "n": expected number, got "4"';
    expect(await outcome(task)).toEqual(['invalid_request', false, message]);
    expect((await task.get()).attempt).toBe(1);
  });

  it('fails with workflow_error for a result that its schema refuses', async () => {
    await h.orchestrator.workflow(double).start();
    const message = 'result of workflow "double" at "text": expected string, got 5';
    expect(await outcome(await h.acme.tasks.submit(double, { n: -1 }))).toEqual([
      'workflow_error',
      false,
      message,
    ]);
  });

  it('has the schema of its highest version at submission', async () => {
    const second = defineWorkflow('double', { version: 2, input: z.object({ m: z.number() }) }, () => 2);
    h.orchestrator.workflow(second).workflow(double);
    await expect(h.acme.tasks.submit({ type: 'double', payload: { n: 1 } })).rejects.toThrow('at "m"');
    await h.acme.tasks.submit({ type: 'double', payload: { m: 1 } });
  });

  it('refuses a schema that validates asynchronously, and one that throws', async () => {
    const later = defineWorkflow('later', { input: z.string().refine(async () => true) }, () => 1);
    await expect(h.acme.tasks.submit(later, 'x')).rejects.toMatchObject({ code: 'workflow_error' });
    const throwing: StandardSchema<string> = {
      '~standard': {
        version: 1,
        vendor: 'own',
        validate: () => {
          throw new Error('broken');
        },
      },
    };
    const broken = defineWorkflow('broken', { input: throwing }, () => 1);
    await expect(h.acme.tasks.submit(broken, 'x')).rejects.toMatchObject({
      code: 'workflow_error',
      message: 'input of workflow "broken": its schema threw',
    });
  });

  it.each([
    ['no function', 'x', {}, undefined, 'workflow "x": expected a function, got nothing'],
    ['no schema', 'x', { input: {} }, () => 1, 'workflow "x": input: expected a Standard Schema'],
  ])('refuses %s', (_, type, options, fn, message) => {
    const define = defineWorkflow as (...given: readonly unknown[]) => unknown;
    expect(() => define(type, options, fn)).toThrow(message);
  });

  it.each([
    ['an unknown option', { timeout_ms: 5 }, 'at "timeout_ms": expected no such field'],
    ['an invalid limit', { maxAttempts: 0 }, 'at "maxAttempts"'],
  ])('is refused at its registration for %s', (_, options, message) => {
    const definition = defineWorkflow('x', options as object, () => 1);
    expect(() => h.orchestrator.workflow(definition)).toThrow(message);
  });
});

describe('the options of a submission', () => {
  const job = defineWorkflow(
    'job',
    { timeoutMs: 60_000, maxAttempts: 2 },
    (_, input: { n: number }) => input.n,
  );

  it('become the fields of the task', async () => {
    h.orchestrator.workflow(job);
    const taskId = crypto.randomUUID();
    const runAt = new Date(h.clock.now() + 5_000);
    const { task, task_id, replayed, cursor } = await h.acme.tasks.submit(
      job,
      { n: 1 },
      {
        ...{ taskId, sessionId: 's-1', agentId: 'a-1', priority: 9, maxAttempts: 3, timeoutMs: 1_000, runAt },
        metadata: { user_id: 'u-1' },
        onBusy: 'parallel',
      },
    );
    expect(task).toMatchObject({
      ...{ task_id: taskId, session_id: 's-1', agent_id: 'a-1', priority: 9, max_attempts: 3, type: 'job' },
      metadata: { user_id: 'u-1', timeout_ms: 1_000 },
      run_at: runAt.toISOString(),
      payload: { n: 1 },
    });
    expect([task_id, replayed]).toEqual([taskId, false]);
    expect(cursor).toMatch(/:\d+$/);
  });

  it.each([
    ['a Date', new Date('2026-02-01T00:00:00Z')],
    ['epoch ms', Date.parse('2026-02-01T00:00:00Z')],
    ['a timestamp', '2026-02-01T01:00:00+01:00'],
  ])('take runAt as %s', async (_, runAt) => {
    h.orchestrator.workflow(job);
    const { task } = await h.acme.tasks.submit(job, { n: 1 }, { runAt });
    expect(task.run_at).toBe('2026-02-01T00:00:00.000Z');
  });

  it.each([
    ['runAt', { runAt: new Date(Number.NaN) }],
    ['runAt', { runAt: 'tomorrow' }],
    ['priority', { priority: 10 }],
    ['onBusy', { onBusy: 'later' as 'reject' }],
    ['timeoutMs', { timeoutMs: 0 }],
  ])('are validated: %s', async (_, options) => {
    h.orchestrator.workflow(job);
    await expect(h.acme.tasks.submit(job, { n: 1 }, options)).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });

  it('repeat the same request by its idempotency key', async () => {
    h.orchestrator.workflow(job);
    const key = { idempotencyKey: 'k-1' };
    const first = await h.acme.tasks.submit(job, { n: 1 }, key);
    const second = await h.acme.tasks.submit(job, { n: 1 }, key);
    expect([second.replayed, second.task_id]).toEqual([true, first.task_id]);
    await expect(h.acme.tasks.submit(job, { n: 2 }, key)).rejects.toMatchObject({
      code: 'idempotency_conflict',
    });
  });

  it('end the wait by their signal, before and during the request', async () => {
    h.orchestrator.workflow(job);
    const reason = new Error('enough');
    const before = h.acme.tasks.submit(job, { n: 1 }, { signal: AbortSignal.abort(reason) });
    await expect(before).rejects.toBe(reason);
    expect((await h.acme.tasks.list()).tasks).toEqual([]);
    const controller = new AbortController();
    const during = h.acme.tasks.submit(job, { n: 1 }, { signal: controller.signal, idempotencyKey: 'k-2' });
    controller.abort(reason);
    await expect(during).rejects.toBe(reason);
    // The same key finds the task that was stored all the same.
    const again = await h.acme.tasks.submit(job, { n: 1 }, { idempotencyKey: 'k-2' });
    expect(again.replayed).toBe(true);
  });
});

describe('every request', () => {
  const job = defineWorkflow('job', {}, (ctx) => ctx.waitForSignal('go'));
  beforeEach(() => h.orchestrator.workflow(job));

  it('does nothing once its signal has fired', async () => {
    const reason = new Error('enough');
    const signal = AbortSignal.abort(reason);
    const { tasks, batches, sessions } = h.acme;
    const { task_id } = await tasks.submit(job, null);
    const begun = [
      tasks.submit(job, null, { signal }),
      tasks.submit({ type: 'job' }, { signal }),
      h.acme.chat({ message: 'hello' }, { signal }),
      batches.submit({ requests: [{ type: 'job' }] }, { signal }),
      sessions.create({ session_id: 'never' }, { signal }),
      tasks.signal(task_id, 'go', null, { signal }),
      tasks.handle(task_id).signal('go', null, { signal }),
    ];
    for (const request of begun) await expect(request).rejects.toBe(reason);
    await h.orchestrator.start();
    await settled();
    expect((await tasks.list()).tasks.map((task) => task.status)).toEqual(['processing']);
    await expect(sessions.get('never')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('refuses an option that would be ignored', async () => {
    const { tasks, batches, sessions } = h.acme;
    const odd = { idempotency_key: 'k' } as object;
    const begun = [
      tasks.submit(job, null, odd),
      tasks.submit(job, null, { session_id: 's' } as object),
      tasks.submit({ type: 'job' }, odd),
      tasks.submit({ type: 'job' }, { sessionId: 's' } as object),
      h.acme.chat({ message: 'hello' }, odd),
      batches.submit({ requests: [{ type: 'job' }] }, odd),
      sessions.create({}, odd),
      tasks.signal(crypto.randomUUID(), 'go', null, odd),
    ];
    await expect(tasks.submit(job, null, null as never)).rejects.toThrow(
      'options: expected an object, got null',
    );
    await expect(tasks.submit({ type: 'job' }, 'k' as never)).rejects.toThrow('options: expected an object');
    for (const request of begun)
      await expect(request).rejects.toMatchObject({
        code: 'invalid_request',
        message: expect.stringMatching(
          /^options: expected .*idempotencyKey.*, got "(?:idempotency_key|session_?[iI]d)"$/,
        ),
      });
    expect((await tasks.list()).tasks).toEqual([]);
  });
});

describe('no input', () => {
  it('is the empty object, for the check at submission and for the workflow', async () => {
    const nullable = defineWorkflow('nullable', { input: z.string().nullable() }, (_, input) => [input]);
    const optional = defineWorkflow(
      'optional',
      { input: z.object({ a: z.string().default('x') }) },
      (_, input) => input.a,
    );
    await h.orchestrator.workflow(nullable).workflow(optional).start();
    await expect(h.acme.tasks.submit(nullable, null)).rejects.toMatchObject({ code: 'invalid_request' });
    expect(await outcome(await h.acme.tasks.submit(optional, undefined as never))).toBe('x');
  });
});

describe('a task handle', () => {
  const word = defineWorkflow('word', {}, (ctx) => ctx.waitForSignal<string>('word'));
  beforeEach(() => h.orchestrator.workflow(word).start());

  it('resolves with the result, sends signals, and has the events', async () => {
    const task = await h.acme.tasks.submit(word, null);
    await settled();
    await task.signal('word', 'hello');
    expect(await outcome(task)).toBe('hello');
    const names: string[] = [];
    for await (const { event } of task.events()) names.push(event);
    expect(names).toEqual(['task_created', 'task_started', 'task_completed']);
  });

  it('rejects with the code of the task', async () => {
    const cancelled = await h.acme.tasks.submit(word, null);
    await cancelled.cancel({ reason: 'no longer needed' });
    expect(await outcome(cancelled)).toEqual(['cancelled', false, 'no longer needed']);
    const late = await h.acme.tasks.submit(word, null, { timeoutMs: 1_000 });
    await h.clock.advance(2_000);
    expect(await outcome(late)).toEqual(['timeout', false, expect.any(String)]);
  });

  it('stops waiting after timeoutMs, by its signal, and with the orchestrator', async () => {
    const task = await h.acme.tasks.submit(word, null);
    await settled();
    const waiting = task.result({ timeoutMs: 500 });
    const refused = expect(waiting).rejects.toMatchObject({ code: 'timeout', retryable: true });
    await h.clock.advance(501);
    await refused;
    const reason = new Error('enough');
    await expect(task.result({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const aborted = expect(task.result({ signal: controller.signal })).rejects.toBe(reason);
    controller.abort(reason);
    await aborted;
    const both = [task.result(), task.result({ timeoutMs: 60_000 })];
    const stopped = both.map((result) => expect(result).rejects.toMatchObject({ code: 'not_running' }));
    h.orchestrator.registry.close();
    await Promise.all(stopped);
  });

  it('of an existing task does the same; of an unknown one, rejects', async () => {
    const { task_id } = await h.acme.tasks.submit(word, null);
    await settled();
    const handle = h.acme.tasks.handle<string>(task_id);
    await handle.signal('word', 'again');
    expect(await outcome(handle)).toBe('again');
    await expect(h.acme.tasks.handle(crypto.randomUUID()).result()).rejects.toMatchObject({
      code: 'not_found',
    });
    const foreign = h.orchestrator.tenant('globex').tasks.handle(task_id);
    await expect(foreign.result()).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('hosts', () => {
  it('watch runs and calls, and a listener with an error changes nothing', async () => {
    const seen: unknown[] = [];
    const stop = h.orchestrator.on('callEnded', ({ service, operation, outcome: how }) => {
      seen.push([service, operation, how]);
      throw new Error('a listener');
    });
    h.orchestrator.on('runStarted', ({ type, attempt }) => seen.push(['started', type, attempt]));
    h.orchestrator.on('runEnded', ({ type, outcome: how }) => seen.push(['ended', type, how]));
    h.orchestrator.workflow('ping', (ctx) => ctx.call('query', 'ping'));
    await h.orchestrator.start();
    await outcome(await h.acme.tasks.submit({ type: 'ping' }));
    const run = [
      ['started', 'ping', 1],
      ['query', 'ping', 'completed'],
      ['ended', 'ping', 'completed'],
    ];
    expect(seen).toEqual(run);
    stop();
    await outcome(await h.acme.tasks.submit({ type: 'ping' }));
    expect(seen).toEqual([...run, run[0], run[2]]);
  });

  it('add stages and senders', async () => {
    const order: string[] = [];
    const named =
      (name: string): CallStage =>
      async (call, next) => {
        order.push(`${name} ${call.service.name}`);
        const result = await next(call);
        order.push(`${name} ${result.kind}`);
        return result;
      };
    const sent: OutboundCall[] = [];
    const send = async (call: OutboundCall): Promise<SendResult> => {
      sent.push(call);
      return { kind: 'answer', answer: { kind: 'outcome', outcome: { ok: true, value: { tool: 'x' } } } };
    };
    const orchestrator = h.another({
      callStages: [named('outer'), named('inner')],
      services: { mcp: { send } },
    });
    orchestrator.workflow('tool', (ctx) => ctx.call('mcp', 'use', { a: 1 }));
    await orchestrator.start();
    const task = await orchestrator.tenant('acme').tasks.submit({ type: 'tool' });
    expect(await outcome(task)).toEqual({ tool: 'x' });
    expect(order).toEqual(['outer mcp', 'inner mcp', 'inner answer', 'outer answer']);
    expect(sent[0]?.call).toMatchObject({ operation: 'use', input: { a: 1 }, tenant_id: 'acme' });
    expect(sent[0]?.traceparent).toMatch(/^00-/);
  });

  it('may answer a call in a stage', async () => {
    const cached: CallStage = async () => ({
      kind: 'answer',
      answer: { kind: 'outcome', outcome: { ok: true, value: 'cached' } },
    });
    const orchestrator = h.another({ callStages: [cached] });
    orchestrator.workflow('stage', (ctx) => ctx.call('query', 'ping'));
    await orchestrator.start();
    expect(await outcome(await orchestrator.tenant('acme').tasks.submit({ type: 'stage' }))).toBe('cached');
    expect(received).toEqual([]);
  });

  it.each<[string, unknown, unknown]>([
    ['nothing', undefined, ['invalid_response', false, 'service "odd": expected a SendResult, got nothing']],
    [
      'another kind',
      { kind: 'done' },
      ['invalid_response', false, 'service "odd": expected a SendResult, got "done"'],
    ],
    [
      'no outcome',
      { kind: 'answer', answer: { kind: 'outcome' } },
      ['invalid_response', false, expect.anything()],
    ],
    [
      'a value that is not JSON',
      { kind: 'answer', answer: { kind: 'outcome', outcome: { ok: true, value: 5n } } },
      ['invalid_response', false, expect.anything()],
    ],
    [
      'a job without an id',
      { kind: 'answer', answer: { kind: 'accepted' } },
      ['invalid_response', false, expect.anything()],
    ],
    [
      'a failure as data',
      {
        kind: 'answer',
        answer: { kind: 'outcome', outcome: { ok: false, error: { code: 'forbidden', message: 'no' } } },
      },
      ['forbidden', false, 'no'],
    ],
  ])('get a clear error for a sender that returns %s', async (_, returned, expected) => {
    const send = () => returned as Promise<SendResult>;
    const orchestrator = h.another({ services: { odd: { send } } });
    orchestrator.workflow('odd', (ctx) => ctx.call('odd', 'do'));
    await orchestrator.start();
    const task = await orchestrator.tenant('acme').tasks.submit({ type: 'odd', max_attempts: 1 });
    expect(await outcome(task)).toEqual(expected);
  });

  it('have their sender ended by the time limit of the service', async () => {
    const aborted: unknown[] = [];
    const send = ({ signal }: OutboundCall) =>
      new Promise<SendResult>(() => signal.addEventListener('abort', () => aborted.push(signal.reason)));
    const orchestrator = h.another({ services: { slowly: { send, timeoutMs: 1_000 } } });
    orchestrator.workflow('waits', (ctx) => ctx.call('slowly', 'do', {}, { retry: { maxAttempts: 1 } }));
    await orchestrator.start();
    const task = await orchestrator.tenant('acme').tasks.submit({ type: 'waits', max_attempts: 1 });
    await h.clock.advance(60_000);
    expect(await outcome(task)).toEqual(['timeout', false, expect.stringContaining('1000 ms')]);
    expect(aborted).toMatchObject([{ code: 'timeout' }, {}, {}, {}, {}]);
  });

  it.each<[object, string]>([
    [{ url: 'http://x', run: () => 1 }, '"url" and "run"'],
    [{ url: 'http://x', send: () => 1 }, '"url" and "send"'],
    [{ run: () => 1, send: () => 1 }, '"run" and "send"'],
  ])('get an error for a service of two kinds', (settings, got) => {
    expect(() => h.orchestrator.service('two', settings as never)).toThrow(
      `service "two": expected one of "url", "run" and "send", got ${got}`,
    );
  });
});
