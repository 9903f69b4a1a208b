import type { TaskEvent } from '@agent-orchestrator/core';
import { describe, expect, it } from 'vitest';
import { longestSilence, ofTenants } from './history-of-tenants.js';
import type { Entry, FaultHistory } from './fault-history.js';

const created = (tenant_id: string, task_id: string) =>
  ({ event: 'task_created', tenant_id, task_id, rev: 1, cursor: 'e:1' }) as TaskEvent;

const acknowledged = (tenant: string, task: string, at: number): Entry => ({
  ...{ kind: 'acknowledged', process: 'submitter', key: task },
  ...{ tenant, task, at },
});

const history: FaultHistory = {
  entries: [
    acknowledged('a', 'lost', 1_000),
    acknowledged('b', 'kept', 1_100),
    { kind: 'started', process: 'w1', task: 'kept', at: 1_200 },
    { kind: 'event', process: 'follower', cursor: 'e:1', at: 1_300 },
    acknowledged('a', 'later', 4_000),
    acknowledged('b', 'later-too', 4_100),
  ],
  faults: [{ kind: 'storage', process: 'redis', at: 2_000, until: 3_000 }],
  planned: 1,
  leaseMs: 3_000,
  logs: new Map([
    ['a', [created('a', 'later')]],
    ['b', [created('b', 'kept')]],
  ]),
  followed: 'a',
};

describe('the history of selected tenants', () => {
  it('has their entries, lost tasks included', () => {
    const { entries, logs } = ofTenants(history, ['a']);
    expect(entries.map(({ at }) => at)).toEqual([1_000, 1_300, 4_000]);
    expect([...logs.keys()]).toEqual(['a']);
  });

  it('omits the follower of another tenant', () => {
    expect(ofTenants(history, ['b']).entries.map(({ at }) => at)).toEqual([1_100, 1_200, 4_100]);
  });

  it('measures the longest time without an acknowledged task during an outage', () => {
    expect(longestSilence(history, ['acknowledged'])).toBe(2_900);
    expect(longestSilence(ofTenants(history, ['a']), ['acknowledged'])).toBe(3_000);
  });
});
