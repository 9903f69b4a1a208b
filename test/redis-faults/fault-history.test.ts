import type { TaskEvent } from '@agent-orchestrator/core';
import { describe, expect, it } from 'vitest';
import {
  type Entry,
  type Fault,
  type FaultHistory,
  type FaultVerdict,
  judgeFaults,
} from './fault-history.js';

const TENANT = 'acme';
let time = 0;

type EntryFields<E> = E extends Entry ? Omit<E, 'at' | 'process'> : never;

function entry(process: string, fields: EntryFields<Entry>, at = (time += 1)): Entry {
  return { ...fields, at, process };
}

function event(seq: number, task_id: string, rev: number, name: TaskEvent['event']): TaskEvent {
  return {
    event: name,
    service: 'orchestrator',
    task_id,
    tenant_id: TENANT,
    timestamp: '2026-01-31T10:00:00.000Z',
    data: null,
    metadata: {},
    rev,
    cursor: `e:${seq}`,
  } as TaskEvent;
}

const LOG = [
  event(1, 'a', 1, 'task_created'),
  event(2, 'a', 2, 'task_started'),
  event(3, 'a', 3, 'task_completed'),
];

interface MutableHistory {
  entries: Entry[];
  faults: Fault[];
  logs: Map<string, TaskEvent[]>;
}

/** One task that lost its worker, and a follower that received all of it. */
function correctHistory(): MutableHistory {
  time = 0;
  const entries = [
    entry('submitter', { kind: 'requested', tenant: TENANT, key: 'k' }),
    entry('submitter', { kind: 'acknowledged', tenant: TENANT, key: 'k', task: 'a' }),
    entry('w1', { kind: 'claimed', task: 'a' }),
    entry('w1', { kind: 'started', task: 'a' }),
    entry('w1', { kind: 'own', task: 'a', step: 'one' }),
    entry('w1', { kind: 'recorded', task: 'a', step: 'one' }),
    entry('w2', { kind: 'claimed', task: 'a' }, 3_000),
    entry('w2', { kind: 'started', task: 'a' }, 3_000),
    entry('w2', { kind: 'recorded', task: 'a', step: 'one' }, 3_001),
    entry('w2', { kind: 'own', task: 'a', step: 'two' }, 3_002),
    entry('w2', { kind: 'ended', task: 'a' }, 3_003),
    entry('w2', { kind: 'settled', task: 'a' }, 3_004),
    ...LOG.map(({ cursor, rev }) => entry('follower', { kind: 'event', cursor, task: 'a', rev }, 4_000)),
  ] as Entry[];
  return { entries, faults: [{ kind: 'kill', process: 'w1', at: 100 }], logs: new Map([[TENANT, [...LOG]]]) };
}

function verdictAfter(change: (scenario: MutableHistory) => void): FaultVerdict {
  const scenario = correctHistory();
  change(scenario);
  const history: FaultHistory = { ...scenario, planned: 1, leaseMs: 3_000, followed: TENANT };
  return judgeFaults(history);
}

const follower = (entry: Entry) => entry.process === 'follower';

describe('judgeFaults', () => {
  it('accepts a correct history', () => {
    expect(verdictAfter(() => undefined)).toMatchObject({
      ...{ acknowledged: 1, injected: 1, lost: [], notFinalOnce: [], revGaps: [], withoutRequest: 0 },
      ...{ twoOfOneKey: [], followedTwice: 0, followedMissing: 0, followedOther: 0, gapFrames: 0 },
      ...{
        recordedAgain: [],
        begunBeforeFreeze: 0,
        redisTexts: [],
        afterKill: { tasks: 1, medianMs: 2_900, longestMs: 2_900, late: 0 },
      },
    });
  });

  it.each<[string, keyof FaultVerdict, unknown, (scenario: MutableHistory) => void]>([
    ['an acknowledged task that is lost', 'lost', ['a'], ({ logs }) => logs.set(TENANT, [])],
    ['a task that did not end', 'notFinalOnce', ['a'], ({ logs }) => logs.get(TENANT)?.pop()],
    [
      'a task that ended twice',
      'notFinalOnce',
      ['a'],
      ({ logs }) => logs.get(TENANT)?.push(event(4, 'a', 4, 'task_failed')),
    ],
    ['a hole in rev', 'revGaps', ['a'], ({ logs }) => logs.get(TENANT)?.splice(1, 1)],
    [
      'a task without a request',
      'withoutRequest',
      1,
      ({ logs }) => logs.get(TENANT)?.push(event(4, 'b', 1, 'task_created')),
    ],
    [
      'two tasks of one idempotency key',
      'twoOfOneKey',
      ['acme/k'],
      ({ entries }) =>
        entries.push(entry('submitter', { kind: 'acknowledged', tenant: TENANT, key: 'k', task: 'b' })),
    ],
    [
      'an event that the follower got twice',
      'followedTwice',
      1,
      ({ entries }) => entries.push(entry('follower', { kind: 'event', cursor: 'e:3', task: 'a', rev: 3 })),
    ],
    [
      'an event out of order',
      'followedTwice',
      1,
      ({ entries }) => entries.push(...entries.splice(entries.findIndex(follower), 1)),
    ],
    [
      'an event that the follower did not get',
      'followedMissing',
      1,
      ({ entries }) => entries.splice(entries.findIndex(follower) + 1, 1),
    ],
    ['a missing last event at the follower', 'followedMissing', 1, ({ entries }) => entries.pop()],
    [
      'an event that differs from the log',
      'followedOther',
      1,
      ({ entries }) => {
        entries.pop();
        entries.push(entry('follower', { kind: 'event', cursor: 'e:3', task: 'b', rev: 3 }));
      },
    ],
    [
      'a gap without an outage',
      'gapsWithoutReason',
      1,
      ({ entries }) => entries.push(entry('follower', { kind: 'gap', from: 'e:3', to: 'f:3' })),
    ],
    [
      'a gap before the outage',
      'gapsWithoutReason',
      1,
      ({ entries, faults }) => {
        faults.push({ kind: 'storage', process: 'redis', at: 9_000, until: 9_500 });
        entries.push(entry('follower', { kind: 'gap', from: 'e:3', to: 'f:3' }, 8_000));
      },
    ],
    [
      'recorded own work that is repeated',
      'recordedAgain',
      ['a/one'],
      ({ entries }) => entries.push(entry('w2', { kind: 'own', task: 'a', step: 'one' }, 3_002)),
    ],
    [
      'a recorded call that is repeated',
      'recordedAgain',
      ['a/one'],
      ({ entries }) => entries.push(entry('w2', { kind: 'call', task: 'a', step: 'one' }, 3_002)),
    ],
    ['fewer faults than planned', 'injected', 0, ({ faults }) => faults.pop()],
    [
      'an error text of Redis',
      'redisTexts',
      ['ReplyError: MOVED 12 127.0.0.1:7000 '],
      ({ entries }) =>
        entries.push(entry('w1', { kind: 'error', text: 'ReplyError: MOVED 12 127.0.0.1:7000' })),
    ],
  ])('finds %s', (_, field, expected, tamper) => {
    expect(verdictAfter(tamper)[field]).toEqual(expected);
  });

  it('accepts a gap after an outage if the events after it are complete', () => {
    const verdict = verdictAfter(({ entries, faults }) => {
      faults.push({ kind: 'storage', process: 'redis', at: 10, until: 20 });
      const repeated = entries.filter(follower);
      entries.push(entry('follower', { kind: 'gap', from: 'e:3', to: 'f:0' }, 5_000), ...repeated);
    });
    expect(verdict).toMatchObject({
      gapFrames: 1,
      gapsWithoutReason: 0,
      followedTwice: 0,
      followedMissing: 0,
    });
  });

  it('counts late takeovers, and separately those delayed by an outage', () => {
    const late = verdictAfter(({ faults }) => (faults[0] = { kind: 'kill', process: 'w1', at: 10 }));
    expect(late.afterKill).toMatchObject({ tasks: 1, late: 0 });
    const later = verdictAfter(({ entries }) =>
      entries.push(entry('w3', { kind: 'claimed', task: 'a' }, 9_000)),
    );
    expect(later.afterKill.longestMs).toBe(2_900);
    const outage = verdictAfter(({ faults }) =>
      faults.push({ kind: 'storage', process: 'redis', at: 200, until: 1_200 }),
    );
    expect(outage).toMatchObject({ afterKill: { tasks: 0 }, withOutage: { tasks: 1 } });
    const settled = verdictAfter(({ entries }) =>
      entries.splice(4, 0, entry('w1', { kind: 'settled', task: 'a' }, 50)),
    );
    expect(settled.afterKill.tasks).toBe(0);
  });

  it('counts work of a frozen process separately', () => {
    const verdict = verdictAfter(({ entries, faults }) => {
      faults.push({ kind: 'freeze', process: 'w3', at: 2, until: 3_500 });
      entries.push(entry('w3', { kind: 'own', task: 'a', step: 'one' }, 3_501));
    });
    expect(verdict).toMatchObject({ recordedAgain: [], begunBeforeFreeze: 1 });
  });
});
