import { randomUUID } from 'node:crypto';
import {
  OrchestratorError,
  type JsonObject,
  type JsonValue,
  type ServiceCall,
} from '@agent-orchestrator/core';
import { type ServiceReply } from '@agent-orchestrator/core/protocol';
import { describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { operation, type OperationContext, ServiceHost, type ServiceHostOptions } from '../src/index.js';
import { FakeNotifier } from './direct-gateway.js';

type Run = (input: JsonObject, context: OperationContext) => Promise<JsonValue>;

const signal = new AbortController().signal;

function hostOf(run: Run, options: Partial<ServiceHostOptions> = {}) {
  const notifier = new FakeNotifier();
  const report = vi.fn();
  const input = z.looseObject({ n: z.number().optional() }) as unknown as z.ZodType<JsonObject>;
  const host = new ServiceHost({
    definition: {
      name: 'sample',
      operations: {
        quick: operation({ input, answers: 'at_once', run }),
        slow: operation({ input, answers: 'later', run }),
      },
    },
    gateway: {
      call: async ({ service, tenant_id, task_id }) => ({ service, tenant_id, task_id: task_id ?? null }),
    },
    notifier,
    report,
    ...options,
  });
  host.start();
  return { host, notifier, report };
}

function callOf(operation: string, input: JsonValue = {}, more: Partial<ServiceCall> = {}): ServiceCall {
  return {
    call_id: randomUUID(),
    task_id: randomUUID(),
    tenant_id: 'acme',
    session_id: 's-1',
    operation,
    input,
    attempt: 1,
    metadata: { user_id: 'u1' },
    ...more,
  };
}

async function reply(host: ServiceHost, call: ServiceCall): Promise<ServiceReply> {
  return (await host.run(call, { signal })) as ServiceReply;
}

/** A promise that the test settles. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

describe('calls of a service host', () => {
  test('are answered at once with result and usage', async () => {
    const { host } = hostOf(async ({ n }, context) => {
      context.used(3, 'm');
      context.used(4, 'm');
      return { n: n ?? null, user: context.user_id ?? null, session: context.session_id ?? null };
    });
    const { kind, result, usage } = await reply(host, callOf('quick', { n: 1 }));
    expect({ kind, result, usage }).toEqual({
      kind: 'answered',
      result: { n: 1, user: 'u1', session: 's-1' },
      usage: { tokens: 7, model: 'm' },
    });
  });

  test('are answered with a job id, and its outcome is notified', async () => {
    const { host, notifier } = hostOf(async (_input, context) => {
      context.progress('half', { percent: 50 });
      context.used(5, 'm');
      return context.call('query', 'query', {});
    });
    const call = callOf('slow');
    const { kind, jobId } = await reply(host, call);
    expect(kind).toBe('accepted');
    expect(notifier.outcomes).toEqual([]);
    expect(await notifier.outcomeOf(jobId)).toEqual({
      service: 'query',
      tenant_id: 'acme',
      task_id: call.task_id,
    });
    expect(notifier.outcomes[0]?.metadata).toEqual({ usage: { tokens: 5, model: 'm' } });
    expect(notifier.statuses).toEqual([
      {
        task_id: jobId,
        tenant_id: 'acme',
        call_id: call.call_id,
        global_task_id: call.task_id,
        status: 'half',
        details: { percent: 50 },
      },
    ]);
  });

  test('with an invalid input or operation are refused with the expected one', async () => {
    const { host } = hostOf(async () => null);
    await expect(host.run(callOf('quick', { n: 'x' }), { signal })).rejects.toMatchObject({
      code: 'invalid_request',
      message: 'sample.quick input at "n": expected number, got "x"',
    });
    for (const name of ['other', 'constructor']) {
      await expect(host.run(callOf(name), { signal })).rejects.toMatchObject({
        code: 'not_found',
        message: `operation of "sample": expected one of quick, slow, got "${name}"`,
      });
    }
  });
});

describe('a repeated call of a service host', () => {
  test('runs once, also while the first is in progress', async () => {
    const { open, opened } = gate();
    const run = vi.fn(async () => {
      await opened;
      return run.mock.calls.length;
    });
    const { host } = hostOf(run);
    const call = callOf('quick');
    const both = [reply(host, call), reply(host, structuredClone(call))];
    open();
    expect((await Promise.all(both)).map(({ result }) => result)).toEqual([1, 1]);
    expect((await reply(host, call)).result).toBe(1);
    expect((await reply(host, { ...call, tenant_id: 'other' })).result).toBe(2);
  });

  test('returns the same job, and its outcome is notified again', async () => {
    const run = vi.fn(async () => 1);
    const { host, notifier } = hostOf(run);
    const call = callOf('slow');
    const { jobId } = await reply(host, call);
    await notifier.outcomeOf(jobId);
    expect((await reply(host, call)).jobId).toBe(jobId);
    expect(notifier.outcomes.map(({ task_id, outcome }) => [task_id, outcome])).toEqual([
      [jobId, 1],
      [jobId, 1],
    ]);
    expect(run).toHaveBeenCalledTimes(1);
  });

  test('with another input is a conflict', async () => {
    const { host } = hostOf(async () => 1);
    const call = callOf('quick', { n: 1 });
    await host.run(call, { signal });
    await expect(host.run({ ...call, input: { n: 2 } }, { signal })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    });
  });

  test('runs again after a retryable failure', async () => {
    let runs = 0;
    const { host } = hostOf(async () => {
      runs += 1;
      if (runs === 1) throw new OrchestratorError('service_unavailable', 'not now');
      throw new OrchestratorError('not_found', 'never');
    });
    const call = callOf('quick');
    await expect(host.run(call, { signal })).rejects.toThrow('not now');
    await expect(host.run(call, { signal })).rejects.toThrow('never');
    await expect(host.run(call, { signal })).rejects.toThrow('never');
    expect(runs).toBe(2);
  });

  test('is recognised for a limited time and number of calls', async () => {
    let now = 0;
    const run = vi.fn(async () => 1);
    const { host } = hostOf(run, { now: () => now, keepMs: 1_000, maxFinished: 2 });
    const call = callOf('quick');
    await host.run(call, { signal });
    now = 2_000;
    await host.run(call, { signal });
    expect(run).toHaveBeenCalledTimes(2);
    for (let more = 0; more < 3; more += 1) await host.run(callOf('quick'), { signal });
    await host.run(call, { signal });
    expect(run).toHaveBeenCalledTimes(6);
  });
});

describe('failures in a service host', () => {
  test('that are unexpected are notified without their details', async () => {
    const { host, notifier, report } = hostOf(async () => {
      throw new TypeError('secret /path');
    });
    await expect(host.run(callOf('quick'), { signal })).rejects.toMatchObject({
      code: 'internal_error',
      retryable: false,
      message: 'sample.quick failed unexpectedly',
    });
    const { jobId } = await reply(host, callOf('slow'));
    expect(await notifier.outcomeOf(jobId)).toMatchObject({
      code: 'internal_error',
      retryable: false,
      message: 'sample.slow failed unexpectedly',
    });
    expect(report).toHaveBeenCalledTimes(2);
  });

  test('that are OrchestratorErrors keep their code', async () => {
    const { host, notifier } = hostOf(async () => {
      throw new OrchestratorError('service_unavailable', 'model is away');
    });
    const { jobId } = await reply(host, callOf('slow'));
    expect(await notifier.outcomeOf(jobId)).toMatchObject({ code: 'service_unavailable', retryable: true });
  });
});

describe('limits, cancel and stop of a service host', () => {
  test('work beyond the limits is refused as retryable, and accepted when there is room', async () => {
    const { open, opened } = gate();
    let running = 0;
    let most = 0;
    const run = async () => {
      running += 1;
      most = Math.max(most, running);
      await opened;
      running -= 1;
      return null;
    };
    const { host, notifier } = hostOf(run, { maxRunning: 2, maxWaiting: 1 });
    const jobs = [
      await reply(host, callOf('slow')),
      await reply(host, callOf('slow')),
      await reply(host, callOf('slow')),
    ];
    const refused = callOf('slow');
    await expect(host.run(refused, { signal })).rejects.toMatchObject({
      code: 'rate_limited',
      retryable: true,
    });
    await vi.waitFor(() => expect(running).toBe(2));
    open();
    await Promise.all(jobs.map(({ jobId }) => notifier.outcomeOf(jobId)));
    expect(most).toBe(2);
    expect((await reply(host, refused)).kind).toBe('accepted');
  });

  test('task_cancel aborts the job of that tenant, and nothing is notified', async () => {
    const { open, opened } = gate();
    const aborted: unknown[] = [];
    const { host, notifier } = hostOf(async (_input, context) => {
      context.signal.addEventListener('abort', () => aborted.push(context.call_id));
      await opened;
      return 1;
    });
    const [one, two] = [callOf('slow'), callOf('slow')];
    await reply(host, one);
    const kept = await reply(host, two);
    const frame = {
      event: 'task_cancel',
      task_id: 'x',
      global_task_id: one.task_id,
      reason: 'enough',
    } as const;
    notifier.cancel({ ...frame, call_id: one.call_id, tenant_id: 'other' });
    notifier.cancel({ ...frame, call_id: one.call_id, tenant_id: 'acme' });
    open();
    await notifier.outcomeOf(kept.jobId);
    await host.stop();
    expect(notifier.outcomes.map(({ task_id }) => task_id)).toEqual([kept.jobId]);
    expect(aborted.filter((id) => id === two.call_id)).toEqual([]);
  });

  test('a job reports that it is alive until it ends', async () => {
    const { open, opened } = gate();
    const { host, notifier } = hostOf(async () => opened.then(() => 1), { aliveMs: 5 });
    const { jobId } = await reply(host, callOf('slow'));
    await vi.waitFor(() => expect(notifier.statuses.length).toBeGreaterThan(1));
    expect(notifier.statuses[0]).toMatchObject({ task_id: jobId, status: 'working' });
    open();
    await notifier.outcomeOf(jobId);
  });

  test('stop fails running jobs as retryable, refuses calls, and may be called twice', async () => {
    const { host, notifier } = hostOf(async (_input, context) => {
      await new Promise((_resolve, reject) =>
        context.signal.addEventListener('abort', () => reject(new Error('aborted'))),
      );
      return 1;
    });
    const { jobId } = await reply(host, callOf('slow'));
    await Promise.all([host.stop(), host.stop()]);
    await host.stop();
    expect(await notifier.outcomeOf(jobId)).toMatchObject({ code: 'service_unavailable', retryable: true });
    await expect(host.run(callOf('quick'), { signal })).rejects.toMatchObject({ code: 'not_running' });
    host.start();
    host.start();
    expect((await reply(host, callOf('slow'))).kind).toBe('accepted');
    await host.stop();
  });
});
