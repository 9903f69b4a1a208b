import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CallStage, type Orchestrator, OrchestratorError } from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = harness();
});
afterEach(() => h.stop());

const answering = (value: unknown) => ({ services: { some: { run: () => value } } });

async function started(options: Parameters<Harness['another']>[0]): Promise<Orchestrator> {
  const orchestrator = h.another(options);
  orchestrator.workflow('calls', (ctx) => ctx.call('some', 'do', {}, { retry: { maxAttempts: 1 } }));
  await orchestrator.start();
  return orchestrator;
}

describe('callEnded', () => {
  /** What listeners saw of calls: outcome and code. */
  function watched(orchestrator: Orchestrator): unknown[] {
    const seen: unknown[] = [];
    orchestrator.on('callEnded', ({ service, operation, outcome, error }) =>
      seen.push([service, operation, outcome, error?.code]),
    );
    return seen;
  }

  it.each<[string, unknown, string]>([
    ['an error of the host', new Error('a stage'), 'service_error'],
    ['an OrchestratorError', new OrchestratorError('forbidden', 'not this one'), 'forbidden'],
    ['no error at all', undefined, 'service_error'],
  ])('is emitted for a call whose stage throws %s', async (_, thrown, code) => {
    const stage: CallStage = () => Promise.reject(thrown);
    const orchestrator = await started({ ...answering(1), callStages: [stage] });
    const seen = watched(orchestrator);
    const { task_id } = await h.acme.tasks.submit({ type: 'calls', max_attempts: 1 });
    await settled();
    expect(seen).toEqual([['some', 'do', 'failed', code]]);
    expect(await h.acme.tasks.get(task_id)).toMatchObject({ status: 'failed', error: { code } });
  });

  it('is emitted for a call of a cancelled task', async () => {
    let calls = 0;
    const run = () => {
      calls += 1;
      return new Promise(() => {});
    };
    const orchestrator = await started({ services: { some: { run } } });
    const seen = watched(orchestrator);
    const { task_id } = await h.acme.tasks.submit({ type: 'calls' });
    await settled();
    expect([calls, seen]).toEqual([1, []]);
    await h.acme.tasks.cancel(task_id);
    await settled();
    expect(seen).toEqual([['some', 'do', 'failed', expect.any(String)]]);
  });
});

describe('a stage that changes the result of a call in place', () => {
  type Changed = {
    kind: string;
    answer: { kind: string; jobId?: unknown; outcome: { value: unknown; error: { diagnostic: object } } };
  };
  const changing =
    (change: (result: Changed) => void): CallStage =>
    async (call, next) => {
      const result = await next(call);
      change(result as unknown as Changed);
      return result;
    };
  const LARGE = { secret: 'x', list: Array.from({ length: 12_000 }, (_, n) => ({ n, text: 'some text' })) };

  async function end(value: unknown, ...callStages: CallStage[]) {
    await started({ ...answering(value), callStages });
    const { task_id } = await h.acme.tasks.submit({ type: 'calls', max_attempts: 1 });
    await settled(60);
    return h.acme.tasks.get(task_id);
  }

  it.each<[string, (result: Changed) => void, object]>([
    [
      'a function as value',
      ({ answer }) => {
        answer.outcome.value = () => 1;
      },
      { status: 'completed', result: null },
    ],
    [
      'an object with toJSON',
      ({ answer }) => {
        answer.outcome.value = { toJSON: () => 'weird' };
      },
      { status: 'completed', result: 'weird' },
    ],
    [
      'a BigInt',
      ({ answer }) => {
        Object.assign(answer.outcome.value as object, { n: 1n });
      },
      { status: 'failed', error: { code: 'invalid_response' } },
    ],
    [
      'a cycle',
      ({ answer }) => {
        Object.assign(answer.outcome.value as object, { self: answer.outcome.value });
      },
      { status: 'failed', error: { code: 'invalid_response' } },
    ],
    [
      'too large a value',
      ({ answer }) => {
        answer.outcome.value = 'x'.repeat(2 ** 20);
      },
      { status: 'failed', error: { code: 'result_too_large' } },
    ],
    [
      'no outcome',
      ({ answer }) => {
        delete (answer as Partial<Changed['answer']>).outcome;
      },
      { status: 'failed', error: { code: 'invalid_response' } },
    ],
    [
      'a job without an id',
      ({ answer }) => {
        answer.kind = 'accepted';
      },
      { status: 'failed', error: { code: 'invalid_response' } },
    ],
    [
      'an unknown kind',
      (result) => {
        result.kind = 'done';
      },
      { status: 'failed', error: { code: 'invalid_response' } },
    ],
    [
      'a value to replace a secret',
      ({ answer }) => {
        Object.assign(answer.outcome.value as object, { secret: 'hidden' });
      },
      { status: 'completed', result: { secret: 'hidden', n: 1 } },
    ],
  ])('has it checked: %s', async (_, change, expected) => {
    expect(await end({ secret: 'x', n: 1 }, changing(change))).toMatchObject(expected);
  });

  it('may change a large one, and the next stage sees the change', async () => {
    const seen: unknown[] = [];
    const task = await end(
      LARGE,
      changing(({ answer }) => seen.push((answer.outcome.value as typeof LARGE).secret)),
      changing(({ answer }) => {
        Object.assign(answer.outcome.value as object, { secret: 'hidden', list: LARGE.list.slice(0, 1) });
      }),
    );
    expect([seen, task.result]).toEqual([['hidden'], { secret: 'hidden', list: LARGE.list.slice(0, 1) }]);
  });

  it('may change a large one that came over HTTP, deep inside', async () => {
    const server = createServer((_, response) => response.end(JSON.stringify({ result: { inner: LARGE } })));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const orchestrator = await started({
        services: { some: { url: `http://127.0.0.1:${port}/` } },
        callStages: [
          changing(({ answer }) => {
            Object.assign((answer.outcome.value as { inner: object }).inner, { secret: 'hidden' });
          }),
        ],
      });
      const ended = new Promise((resolve) => orchestrator.on('runEnded', resolve));
      const { task_id } = await h.acme.tasks.submit({ type: 'calls', max_attempts: 1 });
      await ended;
      await settled();
      expect((await h.acme.tasks.get(task_id)).result).toEqual({ inner: { ...LARGE, secret: 'hidden' } });
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('does not show the message of a foreign error to tenants, and keeps its text for operators', async () => {
    await started({
      services: {
        some: {
          run: () => {
            throw new Error('postgres://user:secret@db');
          },
        },
      },
      callStages: [
        changing(({ answer }) => {
          Object.assign(answer.outcome.error.diagnostic, { causes: ['a cause', 1n] });
        }),
      ],
    });
    const { task_id } = await h.acme.tasks.submit({ type: 'calls', max_attempts: 1 });
    await settled();
    const { error } = await h.acme.tasks.get(task_id);
    expect(error).toMatchObject({
      code: 'service_error',
      message: expect.stringMatching(/^unexpected error in step/),
    });
    const letter = await h.storage.tasks.explain({ tenantId: 'acme', taskId: task_id });
    expect(JSON.stringify(letter)).toContain('postgres://');
  });
});
