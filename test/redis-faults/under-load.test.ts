import { RedisServer } from '@agent-orchestrator/test-servers';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { FaultTable } from '../faults/fault-table.js';
import { Load } from './load.js';

const TIMEOUT_MS = 1_000;
const table = new FaultTable();
afterAll(() => table.print());

interface LoadFault {
  readonly row: number;
  readonly fault: string;
  readonly inflict: (server: RedisServer) => Promise<void>;
  /** The log may lose its end, and then has another epoch. */
  readonly mayGap?: boolean;
}

async function repeat(times: number, everyMs: number, act: () => Promise<unknown>): Promise<void> {
  for (let n = 0; n < times; n += 1) {
    await act();
    await pause(everyMs);
  }
}

const FAULTS: readonly LoadFault[] = [
  {
    row: 11,
    fault: 'SCRIPT FLUSH, 20 times',
    inflict: (server) => repeat(20, 50, () => server.ask(['SCRIPT', 'FLUSH'])),
  },
  {
    row: 11,
    fault: 'CLIENT KILL of all connections, 5 times',
    inflict: (server) =>
      repeat(5, 200, async () => {
        await server.ask(['CLIENT', 'KILL', 'TYPE', 'pubsub']);
        await server.ask(['CLIENT', 'KILL', 'TYPE', 'normal']);
      }),
  },
  {
    row: 11,
    fault: 'CLIENT PAUSE of 1.5 s',
    inflict: async (server) => {
      await server.ask(['CLIENT', 'PAUSE', 1_500, 'ALL']);
      await pause(1_500);
    },
  },
  {
    row: 10,
    fault: 'frozen for 3 s',
    inflict: async (server) => {
      server.freeze();
      await pause(3_000);
      server.thaw();
    },
  },
  {
    row: 9,
    fault: 'killed, restarted after 1 s, AOF',
    inflict: async (server) => {
      await server.kill();
      await pause(1_000);
      await server.restart();
    },
    mayGap: true,
  },
];

describe('under load, the storage recovers without a lost task from a Redis with', () => {
  it.each(FAULTS.map((each) => [each.fault, each] as const))('%s', async (_, each) => {
    const { row, fault, inflict, mayGap = false } = each;
    await using server = await RedisServer.start({ appendonly: true });
    const load = new Load(server.url, TIMEOUT_MS);
    await load.begin();
    await load.more(50);
    await inflict(server);
    load.healed();
    // It heals: tasks are acknowledged, and the follower receives them.
    await load.more(100);
    const seen = await load.end();
    const { acknowledged, unavailable, extraRuns, longestPauseMs, followedAfterMs } = seen;
    table.add({
      row,
      fault,
      expected: 'heals, nothing lost',
      seen: `${acknowledged} acknowledged, ${unavailable} storage_unavailable, lost ${seen.lost.length}`,
      detail: `pause ${longestPauseMs} ms, follower back ${followedAfterMs} ms, extra runs ${extraRuns}`,
    });
    expect(seen).toMatchObject({ lost: [], gaps: [], notFinalOnce: [], recordedAgain: [], foreign: [] });
    expect(seen.wrongAtFollower).toBe(0);
    expect(seen.gapsAtFollower).toBeLessThanOrEqual(mayGap ? 1 : 0);
    expect(followedAfterMs).not.toBe(Infinity);
  });
});
