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

type Said<E> = E extends Entry ? Omit<E, 'at' | 'process'> : never;

function line(process: string, said: Said<Entry>, at = (time += 1)): Entry {
  return { ...said, at, process };
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
  };
}

const LOG = [
  event(1, 'a', 1, 'task_created'),
  event(2, 'a', 2, 'task_started'),
  event(3, 'a', 3, 'task_completed'),
];

interface Story {
  entries: Entry[];
  faults: Fault[];
  logs: Map<string, TaskEvent[]>;
}

/** One task that lost its worker, and a follower who saw all of it. */
function good(): Story {
  time = 0;
  const entries = [
    line('submitter', { kind: 'asked', tenant: TENANT, key: 'k' }),
    line('submitter', { kind: 'acknowledged', tenant: TENANT, key: 'k', task: 'a' }),
    line('w1', { kind: 'claimed', task: 'a' }),
    line('w1', { kind: 'started', task: 'a' }),
    line('w1', { kind: 'own', task: 'a', step: 'one' }),
    line('w1', { kind: 'recorded', task: 'a', step: 'one' }),
    line('w2', { kind: 'claimed', task: 'a' }, 3_000),
    line('w2', { kind: 'started', task: 'a' }, 3_000),
    line('w2', { kind: 'recorded', task: 'a', step: 'one' }, 3_001),
    line('w2', { kind: 'own', task: 'a', step: 'two' }, 3_002),
    line('w2', { kind: 'ended', task: 'a' }, 3_003),
    line('w2', { kind: 'settled', task: 'a' }, 3_004),
    ...LOG.map(({ cursor, rev }) => line('follower', { kind: 'event', cursor, task: 'a', rev }, 4_000)),
  ] as Entry[];
  return { entries, faults: [{ kind: 'kill', process: 'w1', at: 100 }], logs: new Map([[TENANT, [...LOG]]]) };
}

function verdictOn(change: (story: Story) => void): FaultVerdict {
  const story = good();
  change(story);
  const history: FaultHistory = { ...story, planned: 1, leaseMs: 3_000, followed: TENANT };
  return judgeFaults(history);
}

const follower = (entry: Entry) => entry.process === 'follower';

describe('the judge of faults', () => {
  it('has nothing against a good history', () => {
    expect(verdictOn(() => undefined)).toMatchObject({
      ...{ acknowledged: 1, injected: 1, lost: [], notFinalOnce: [], revGaps: [], unasked: 0 },
      ...{ twoOfOneKey: [], followedTwice: 0, followedMissing: 0, followedOther: 0, gapFrames: 0 },
      ...{
        recordedAgain: [],
        begunBeforeFreeze: 0,
        foreignTexts: [],
        afterKill: { tasks: 1, medianMs: 2_900, longestMs: 2_900, late: 0 },
      },
    });
  });

  it.each<[string, keyof FaultVerdict, unknown, (story: Story) => void]>([
    ['a task that was acknowledged and is nowhere', 'lost', ['a'], ({ logs }) => logs.set(TENANT, [])],
    ['a task that did not end', 'notFinalOnce', ['a'], ({ logs }) => logs.get(TENANT)?.pop()],
    [
      'a task that ended twice',
      'notFinalOnce',
      ['a'],
      ({ logs }) => logs.get(TENANT)?.push(event(4, 'a', 4, 'task_failed')),
    ],
    ['a hole in rev', 'revGaps', ['a'], ({ logs }) => logs.get(TENANT)?.splice(1, 1)],
    [
      'a task that nobody asked for',
      'unasked',
      1,
      ({ logs }) => logs.get(TENANT)?.push(event(4, 'b', 1, 'task_created')),
    ],
    [
      'two tasks of one request',
      'twoOfOneKey',
      ['acme/k'],
      ({ entries }) =>
        entries.push(line('submitter', { kind: 'acknowledged', tenant: TENANT, key: 'k', task: 'b' })),
    ],
    [
      'an event that the follower got twice',
      'followedTwice',
      1,
      ({ entries }) => entries.push(line('follower', { kind: 'event', cursor: 'e:3', task: 'a', rev: 3 })),
    ],
    [
      'an event that came out of order',
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
    ['an end that the follower did not get', 'followedMissing', 1, ({ entries }) => entries.pop()],
    [
      'an event that is another one',
      'followedOther',
      1,
      ({ entries }) => {
        entries.pop();
        entries.push(line('follower', { kind: 'event', cursor: 'e:3', task: 'b', rev: 3 }));
      },
    ],
    [
      'a gap that nothing explains',
      'gapsWithoutReason',
      1,
      ({ entries }) => entries.push(line('follower', { kind: 'gap', from: 'e:3', to: 'f:3' })),
    ],
    [
      'a gap before the storage was away',
      'gapsWithoutReason',
      1,
      ({ entries, faults }) => {
        faults.push({ kind: 'storage', process: 'redis', at: 9_000, until: 9_500 });
        entries.push(line('follower', { kind: 'gap', from: 'e:3', to: 'f:3' }, 8_000));
      },
    ],
    [
      'own work that was recorded, and done again',
      'recordedAgain',
      ['a/one'],
      ({ entries }) => entries.push(line('w2', { kind: 'own', task: 'a', step: 'one' }, 3_002)),
    ],
    [
      'a call that was recorded, and made again',
      'recordedAgain',
      ['a/one'],
      ({ entries }) => entries.push(line('w2', { kind: 'call', task: 'a', step: 'one' }, 3_002)),
    ],
    ['fewer faults than planned', 'injected', 0, ({ faults }) => faults.pop()],
    [
      'what only Redis says',
      'foreignTexts',
      ['ReplyError: MOVED 12 127.0.0.1:7000 '],
      ({ entries }) =>
        entries.push(line('w1', { kind: 'error', text: 'ReplyError: MOVED 12 127.0.0.1:7000' })),
    ],
  ])('finds %s', (_, field, expected, tamper) => {
    expect(verdictOn(tamper)[field]).toEqual(expected);
  });

  it('forgives a gap after the storage was away, and what follows it has to be whole', () => {
    const verdict = verdictOn(({ entries, faults }) => {
      faults.push({ kind: 'storage', process: 'redis', at: 10, until: 20 });
      const again = entries.filter(follower);
      entries.push(line('follower', { kind: 'gap', from: 'e:3', to: 'f:0' }, 5_000), ...again);
    });
    expect(verdict).toMatchObject({
      gapFrames: 1,
      gapsWithoutReason: 0,
      followedTwice: 0,
      followedMissing: 0,
    });
  });

  it('counts what is taken over late, and what the storage itself has delayed', () => {
    const late = verdictOn(({ faults }) => (faults[0] = { kind: 'kill', process: 'w1', at: 10 }));
    expect(late.afterKill).toMatchObject({ tasks: 1, late: 0 });
    const later = verdictOn(({ entries }) => entries.push(line('w3', { kind: 'claimed', task: 'a' }, 9_000)));
    expect(later.afterKill.longestMs).toBe(2_900);
    const outage = verdictOn(({ faults }) =>
      faults.push({ kind: 'storage', process: 'redis', at: 200, until: 1_200 }),
    );
    expect(outage).toMatchObject({ afterKill: { tasks: 0 }, withOutage: { tasks: 1 } });
    const settled = verdictOn(({ entries }) =>
      entries.splice(4, 0, line('w1', { kind: 'settled', task: 'a' }, 50)),
    );
    expect(settled.afterKill.tasks).toBe(0);
  });

  it('counts apart what a frozen process had in hand', () => {
    const verdict = verdictOn(({ entries, faults }) => {
      faults.push({ kind: 'freeze', process: 'w3', at: 2, until: 3_500 });
      entries.push(line('w3', { kind: 'own', task: 'a', step: 'one' }, 3_501));
    });
    expect(verdict).toMatchObject({ recordedAgain: [], begunBeforeFreeze: 1 });
  });
});
