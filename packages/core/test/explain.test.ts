import { type ExplainFacts, explain } from '@agent-orchestrator/core/storage';
import type { Task } from '@agent-orchestrator/core';
import { describe, expect, it } from 'vitest';

const TASK: Task = {
  task_id: 'a',
  tenant_id: 'acme',
  session_id: 's',
  batch_id: 'b',
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
  status: 'pending',
  type: 'report',
  priority: 4,
  delegated_services: [],
  metadata: {},
  payload: null,
  attempt: 2,
  max_attempts: 5,
  rev: 1,
};
const AT = Date.parse('2026-01-01T00:00:00Z');
const FREE = { paused: false, running: 3, maxRunning: undefined };
const FACTS: ExplainFacts = {
  task: TASK,
  state: 'ready',
  since: AT,
  version: undefined,
  dueAt: undefined,
  worker: undefined,
  cancelReason: undefined,
  sessionHolder: undefined,
  batch: undefined,
  position: undefined,
  tenant: FREE,
  runs: [],
  calls: [],
  steps: [],
  diagnostic: undefined,
};

/** Runs the type of the task in these versions. */
const runs = (...versions: number[]) => [{ type: 'report', versions }];
const failed = { ...TASK, error: { code: 'timeout', message: 'too late', retryable: false } } as const;

describe('the explanation of a task', () => {
  it.each<[string, Partial<ExplainFacts>, string]>([
    ['completed', { state: 'completed' }, 'it is completed'],
    ['failed', { state: 'failed', task: failed }, 'timeout: too late'],
    ['cancelled', { state: 'cancelled', task: failed }, 'timeout: too late'],
    ['scheduled', { state: 'scheduled', dueAt: AT + 1_500 }, 'not before 2026-01-01T00:00:01.500Z'],
    ['scheduled at an unknown time', { state: 'scheduled' }, 'not before 2026-01-01T00:00:00.000Z'],
    [
      'behind another task of its session',
      { state: 'waiting', sessionHolder: 'c' },
      'session s is busy with task c',
    ],
    ['first of its session', { state: 'waiting', sessionHolder: 'a' }, 'it waits for its turn'],
    [
      'in a full batch',
      { state: 'waiting', sessionHolder: 'a', batch: { inFlight: 2, max: 2 } },
      'batch b has 2 of at most 2 in flight',
    ],
    ['in a batch with room', { state: 'waiting', batch: { inFlight: 1, max: 2 } }, 'it waits for its turn'],
    ['run', { state: 'leased', worker: 'w' }, 'worker w runs it, attempt 2'],
    [
      'run, and to be cancelled',
      { state: 'leased', worker: 'w', cancelReason: 'no' },
      'worker w is to end it: no',
    ],
    ['of a paused tenant', { tenant: { ...FREE, paused: true }, runs: runs(1) }, 'tenant "acme" is paused'],
    [
      'of a tenant at its limit',
      { tenant: { ...FREE, maxRunning: 3 }, runs: runs(1) },
      'the tenant has 3 of at most 3 tasks running',
    ],
    [
      'of a tenant below its limit',
      { tenant: { ...FREE, maxRunning: 4 }, runs: runs(1) },
      '0 tasks of this tenant go first',
    ],
    ['queued', { position: 7, runs: runs(1) }, '7 tasks of this tenant go first'],
    [
      'woken',
      { state: 'woken', position: 1, version: 2, runs: runs(1, 2) },
      '1 tasks of this tenant go first',
    ],
    [
      'of a type that no worker runs',
      { runs: [{ type: 'other', versions: [1] }] },
      'no live worker runs this type, "report"',
    ],
    [
      'of a version that no worker runs',
      { version: 2, runs: runs(1) },
      'no live worker runs this type, "report" in version 2',
    ],
    ['tracked, without a call', { state: 'tracked' }, 'waits for its service to report'],
    [
      'parked',
      {
        state: 'parked',
        calls: [
          { service: 'llm', operation: 'ask', job: 'j' },
          { service: 'llm', operation: 'sum', job: undefined },
        ],
        steps: [
          { name: 'sleep', dueAt: AT + 1 },
          { name: 'approval', dueAt: undefined },
        ],
      },
      'waits for llm.ask (job j), llm.sum, sleep until 2026-01-01T00:00:00.001Z, approval',
    ],
  ])('that is %s', (_, facts, reason) => {
    expect(explain({ ...FACTS, ...facts }).reason).toBe(reason);
  });

  it('has the task, its state, since when, and what is known besides', () => {
    expect(explain(FACTS)).toEqual({
      task: TASK,
      state: 'ready',
      reason: 'no live worker runs this type, "report"',
      since: '2026-01-01T00:00:00.000Z',
    });
    const diagnostic = { name: 'Error', message: 'x' } as NonNullable<ExplainFacts['diagnostic']>;
    expect(explain({ ...FACTS, position: 0, diagnostic })).toMatchObject({ position: 0, diagnostic });
  });
});
