import { setMaxListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { accepted, type JsonValue, OrchestratorError, type ServiceCall } from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
beforeEach(async () => {
  h = harness();
  h.orchestrator.workflow('work', (ctx) => ctx.call('slow', 'work'));
  await h.orchestrator.start();
});
afterEach(() => h.stop());

const from = { service: 'slow' };
const { signal } = new AbortController();
setMaxListeners(0, signal);
const receive = (frame: JsonValue, identity: { service: string; tenants?: ReadonlySet<string> } = from) =>
  h.orchestrator.intake.receive(frame, identity, { signal });
const completed = (more: object = {}) => ({
  event: 'task_completed',
  service: 'slow',
  task_id: 'job-1',
  tenant_id: 'acme',
  data: { done: true },
  ...more,
});

async function parked() {
  const task = await h.acme.tasks.submit({ type: 'work' });
  await settled();
  return task;
}

describe('a notification', () => {
  it('is applied, then a duplicate, and late after another outcome', async () => {
    const { task_id } = await parked();
    expect(await receive(completed())).toEqual({ outcome: 'applied', global_task_id: task_id });
    expect(await receive(completed())).toMatchObject({ outcome: 'duplicate' });
    expect(await receive(completed({ data: { done: false } }))).toMatchObject({ outcome: 'late' });
    expect(await receive(completed({ event: 'task_status_update', data: { status: 'x' } }))).toMatchObject({
      outcome: 'late',
    });
    expect(await h.ended({ task_id })).toMatchObject({ status: 'completed', result: { done: true } });
  });

  it.each([
    ['another service', completed({ service: 'other' }), 'forbidden'],
    ['an unknown job', completed({ task_id: 'job-99' }), 'unknown_task'],
    ['another tenant', completed({ tenant_id: 'globex' }), 'unknown_task'],
    ['no event', { service: 'slow' }, 'invalid'],
    ['an unknown event', completed({ event: 'task_exploded' }), 'invalid'],
    ['no data', { ...completed(), data: undefined }, 'invalid'],
    ['a bad tenant', completed({ tenant_id: 'a:b' }), 'invalid'],
    ['a bad time', completed({ timestamp: 'yesterday' }), 'invalid'],
    ['something else', 'hello', 'invalid'],
    ['nothing', null, 'invalid'],
  ])('with %s gets the matching ack', async (_, frame, outcome) => {
    const { task_id } = await parked();
    const result = await receive(JSON.parse(JSON.stringify(frame)) as JsonValue);
    expect(result.outcome).toBe(outcome);
    if (outcome === 'invalid') expect(result.errors?.length).toBeGreaterThan(0);
    expect(await h.ended({ task_id })).toMatchObject({ status: 'processing' });
  });

  it('for a tenant outside the scope of the token is forbidden', async () => {
    await parked();
    expect(await receive(completed(), { service: 'slow', tenants: new Set(['globex']) })).toEqual({
      outcome: 'forbidden',
    });
  });

  it('finds its call by call id, by job, or as the only open call of the task', async () => {
    const ways: ((task: string, call: ServiceCall) => object)[] = [
      (_, call) => completed({ task_id: 'other name', call_id: call.call_id }),
      () => completed({ task_id: 'job-2' }),
      (task) => completed({ task_id: 'never told', global_task_id: task }),
    ];
    for (const way of ways) {
      const { task_id } = await parked();
      const call = h.calls.at(-1) as ServiceCall;
      expect(await receive(way(task_id, call) as JsonValue)).toEqual({
        outcome: 'applied',
        global_task_id: task_id,
      });
    }
  });

  it('in the legacy form is accepted', async () => {
    const { task_id } = await parked();
    const older = {
      event: 'job_completed',
      service: 'slow',
      job_id: 'job-1',
      tenant_id: 'acme',
      agent_id: 'a',
      result: 0,
    };
    expect(await receive(older)).toMatchObject({ outcome: 'applied' });
    expect(await h.ended({ task_id })).toMatchObject({ status: 'completed', result: 0 });
    const second = await parked();
    const failed = {
      event: 'job_failed',
      service: 'slow',
      job_id: 'job-2',
      tenant_id: 'acme',
      error: 'broken',
    };
    expect(await receive(failed)).toMatchObject({ outcome: 'applied' });
    expect(await h.ended(second)).toMatchObject({
      status: 'failed',
      error: { code: 'service_error', message: 'broken' },
    });
  });

  it('of repeated progress is a duplicate, by message or by number', async () => {
    await parked();
    const progress = (more: object) =>
      completed({ event: 'task_status_update', data: { status: 'on it' }, ...more });
    expect(await receive(progress({ message_id: 'm1', seq: 1 }))).toMatchObject({ outcome: 'applied' });
    expect(await receive(progress({ message_id: 'm1' }))).toMatchObject({ outcome: 'duplicate' });
    expect(await receive(progress({ seq: 1 }))).toMatchObject({ outcome: 'duplicate' });
    expect(await receive(progress({ message_id: 'm2', seq: 3 }))).toMatchObject({ outcome: 'applied' });
    expect(await receive(progress({ message_id: 'm3', seq: 2 }))).toMatchObject({ outcome: 'duplicate' });
  });

  it('while the storage is unavailable is to be resent', async () => {
    await parked();
    h.storage.journal.report = () => Promise.reject(new OrchestratorError('storage_unavailable', 'gone'));
    expect(await receive(completed())).toMatchObject({ outcome: 'retry_later', retry_after_ms: 1_000 });
  });

  it.each([
    ['an error of the storage', new OrchestratorError('internal_error', 'a step failed')],
    ['a refusal', new OrchestratorError('invalid_request', 'no')],
    ['a foreign error', new TypeError('the secret inside')],
  ])('that cannot be stored because of %s is not to be resent', async (_, error) => {
    await parked();
    h.storage.journal.report = () => Promise.reject(error);
    const result = await receive(completed());
    expect(result).toMatchObject({
      outcome: 'invalid',
      errors: [{ expected: 'a notification that can be stored' }],
    });
    expect(JSON.stringify(result)).not.toContain('secret');
  });

  it.each(['\n', '\u0000', '\u001f', '\u007f', '\u0085'])(
    'whose message_id or task_id has the control character %j is invalid',
    async (character) => {
      await parked();
      for (const field of ['message_id', 'task_id', 'job_id'] as const) {
        const older = {
          event: 'job_completed',
          service: 'slow',
          tenant_id: 'acme',
          job_id: 'job-1',
          result: 1,
        };
        const frame = { ...(field === 'job_id' ? older : completed()), [field]: `a${character}b` };
        expect(await receive(frame as never)).toMatchObject({
          outcome: 'invalid',
          errors: [{ path: field }],
        });
      }
    },
  );

  it('with malformed texts is stored well-formed', async () => {
    const task = await parked();
    const { task_id, ...rest } = completed();
    const failed = { ...rest, task_id, event: 'task_failed', message_id: 'm\ud83d', seq: 2 ** 53 - 1 };
    const data = { error: 'half \ud83d', error_type: '\ude00', retryable: false };
    expect(await receive({ ...failed, data })).toMatchObject({ outcome: 'applied' });
    const { error } = await h.ended(task);
    expect(error?.message).toContain('half \ufffd');
    expect(error?.message.isWellFormed()).toBe(true);
  });

  it('of the legacy form with an endless error is cut', async () => {
    const task = await parked();
    const error = { text: '\u{1f600}'.repeat(20_000) };
    const frame = { event: 'job_failed', service: 'slow', tenant_id: 'acme', job_id: 'job-1', error };
    expect(await receive(frame)).toMatchObject({ outcome: 'applied' });
    const { message = '' } = (await h.ended(task)).error ?? {};
    expect(message.length).toBeLessThan(10_200);
    expect(message.isWellFormed()).toBe(true);
  });
});

describe('a notification ahead of the response', () => {
  let answer: (reply: unknown) => void;
  beforeEach(() => {
    h.orchestrator.service('late', {
      timeoutMs: 120_000,
      run: () => new Promise((resolve) => (answer = resolve)),
    });
    h.orchestrator.workflow('overtaken', (ctx) => ctx.call('late', 'work'));
  });
  const early = (more: object = {}) =>
    receive(completed({ service: 'late', task_id: 'j', ...more }), { service: 'late' });

  it('is held, and applied with the response that names its job', async () => {
    const task = await h.acme.tasks.submit({ type: 'overtaken' });
    await settled();
    const ack = early();
    const other = early({ task_id: 'another job' });
    await settled();
    answer(accepted('j'));
    await h.clock.advance(1_000);
    expect(await ack).toEqual({ outcome: 'applied', global_task_id: task.task_id });
    expect(await other).toEqual({ outcome: 'unknown_task' });
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: { done: true } });
  });

  it('with its call id is applied at once, and the response then changes nothing', async () => {
    const task = await h.acme.tasks.submit({ type: 'overtaken' });
    await settled();
    const { delegated_services } = await h.ended(task);
    expect(await early({ call_id: delegated_services[0]?.call_id })).toMatchObject({ outcome: 'applied' });
    await settled();
    answer(accepted('j'));
    expect(await h.ended(task)).toMatchObject({ status: 'completed' });
    expect(await early()).toMatchObject({ outcome: 'duplicate' });
  });

  it('is unknown without a response within a minute', async () => {
    await h.acme.tasks.submit({ type: 'overtaken' });
    await settled();
    const ack = early();
    await h.clock.advance(61_000);
    expect(['unknown_task', 'retry_later']).toContain((await ack).outcome);
  });

  it('beyond a thousand is to be resent', async () => {
    await h.acme.tasks.submit({ type: 'overtaken' });
    await settled();
    const acks = Array.from({ length: 1_001 }, (_, n) => early({ task_id: `j${n}` }));
    expect(await acks[1_000]).toMatchObject({ outcome: 'retry_later' });
    answer(accepted('j7'));
    await h.clock.advance(1_000);
    expect(await acks[7]).toMatchObject({ outcome: 'applied' });
  });
});

describe('the gateway', () => {
  it('makes a call a child of its task, and reports the outcome to the caller', async () => {
    const { task_id } = await parked();
    const frames: unknown[] = [];
    h.orchestrator.links.attach({ id: 'c1', service: 'asker', send: (frame) => frames.push(frame) });
    h.orchestrator.links.attach({ id: 'c2', service: 'asker', send: () => frames.push('wrong connection') });
    const request = {
      from: { service: 'asker' },
      tenant_id: 'acme',
      service: 'slow',
      operation: 'help',
      input: {},
      task_id,
      reply_to: 'c1',
    };
    const answer = await h.orchestrator.gateway.request(request, { signal });
    expect(answer.answer).toBe('job');
    const { job_id } = answer as { job_id: string };
    expect(await h.acme.tasks.get(job_id)).toMatchObject({
      parent_task_id: task_id,
      requested_by: 'asker',
      status: 'processing',
    });
    await receive(completed({ task_id: 'job-2', data: 'helped' }));
    await settled();
    expect(frames).toMatchObject([
      { event: 'task_completed', task_id: job_id, global_task_id: job_id, data: 'helped' },
    ]);
    const asker = { from: { service: 'asker' }, tenant_id: 'acme', job_id };
    expect(await h.orchestrator.gateway.job(asker)).toEqual({
      job_id,
      status: 'completed',
      result: 'helped',
    });
    const foreign = { ...asker, from: { service: 'other' } };
    await expect(h.orchestrator.gateway.job(foreign)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('answers a call that ended concurrently without an error of its own', async () => {
    const { gateway, registry } = h.orchestrator;
    const stop = new AbortController();
    const wait = registry.wait.bind(registry);
    registry.wait = async (params) => {
      await receive(completed({ data: 'helped' }));
      const task = await wait({ tenantId: params.tenantId, taskId: params.taskId });
      stop.abort();
      return task;
    };
    const request = {
      from: { service: 'asker' },
      tenant_id: 'acme',
      service: 'slow',
      operation: 'help',
      input: {},
    };
    await expect(gateway.call(request, { signal: stop.signal })).resolves.toBe('helped');
  });

  it('keeps an outcome for a service that reconnects', async () => {
    const request = {
      from: { service: 'asker' },
      tenant_id: 'acme',
      service: 'slow',
      operation: 'help',
      input: {},
    };
    await h.orchestrator.gateway.request(request, { signal });
    await receive(completed({ data: 1 }));
    await settled();
    const frames: unknown[] = [];
    h.orchestrator.links.attach({ id: 'c', service: 'asker', send: (frame) => frames.push(frame) });
    expect(frames).toMatchObject([{ event: 'task_completed', data: 1 }]);
  });

  it('answers a repeated key alike, and refuses it for another request', async () => {
    h.orchestrator.service('quick', { run: (call) => ({ got: call.input }) });
    const request = {
      from: { service: 'asker' },
      tenant_id: 'acme',
      service: 'quick',
      operation: 'go',
      input: { n: 1 },
      idempotencyKey: 'k',
    };
    const first = await h.orchestrator.gateway.request(request, { signal });
    expect(await h.orchestrator.gateway.request(request, { signal })).toEqual(first);
    const other = h.orchestrator.gateway.request({ ...request, input: { n: 2 } }, { signal });
    await expect(other).rejects.toMatchObject({ code: 'idempotency_conflict' });
  });

  it.each([
    ['an unknown service', { service: 'ghost' }, 'unknown_service'],
    ['a bad operation', { operation: 'No Way' }, 'invalid_request'],
    ['a task of another tenant', { task_id: '00000000-0000-4000-8000-000000000000' }, 'not_found'],
    ['a tenant outside of the scope', { tenant_id: 'globex' }, 'forbidden'],
  ])('refuses %s', async (_, change, code) => {
    const asker = { service: 'asker', tenants: new Set(['acme']) };
    const request = {
      from: asker,
      tenant_id: 'acme',
      service: 'slow',
      operation: 'help',
      input: {},
      ...change,
    };
    await expect(h.orchestrator.gateway.request(request, { signal })).rejects.toMatchObject({ code });
    expect((await h.acme.tasks.list()).tasks).toEqual([]);
  });
});
