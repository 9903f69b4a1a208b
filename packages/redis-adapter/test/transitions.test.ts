import { readFile } from 'node:fs/promises';
import { type TaskState, TRANSITIONS } from '@agent-orchestrator/core/protocol';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SCRIPTS } from '../src/generated/scripts.js';

const STATES: readonly TaskState[] = [
  'scheduled',
  'waiting',
  'ready',
  'leased',
  'parked',
  'woken',
  'tracked',
  'completed',
  'failed',
  'cancelled',
];
const pairs = TRANSITIONS.map(({ from, to }) => `${from ?? ''}>${to}`);

let redis: RedisServer;
let script: string;
beforeAll(async () => {
  redis = await RedisServer.start();
  const parts = ['time', 'tenant', 'state', 'task'].map((name) =>
    readFile(new URL(`../lua/lib/${name}.lua`, import.meta.url), 'utf8'),
  );
  const text = [...(await Promise.all(parts)), "move(load('t'), ARGV[2])", "return 'moved'"].join('\n');
  script = text.replaceAll('$transitions', pairs.join(' ')).replaceAll(/\$\w+/g, '0');
});
afterAll(() => redis.stop());

describe('a task in Redis', () => {
  it.each(STATES)('moves from %s only to the states in the table of transitions', async (from) => {
    const prefix = `o:tasks:{${from}}:`;
    await redis.ask(['SET', `${prefix}t`, '{"at":1}\n{}']);
    await redis.ask(['HSET', `${prefix}@live`, 't', JSON.stringify({ state: from, since: 1, updated: 1 })]);
    const moved: string[] = [];
    for (const to of STATES) {
      const args = ['2', `${prefix}@meta`, `o:events:{${from}}`, '1', to];
      const answer = await redis.ask(['EVAL', script, ...args]).catch((error: Error) => error.message);
      if (answer === 'moved') moved.push(`${from}>${to}`);
      else expect(answer).toContain(`illegal transition: ${from} to ${to}`);
    }
    expect(moved.toSorted()).toEqual(
      [...new Set(pairs)].filter((pair) => pair.startsWith(`${from}>`)).toSorted(),
    );
  });

  it('is moved only by scripts that have the table of transitions', () => {
    const moving = Object.entries(SCRIPTS).filter(([, text]) => text.includes('local function move('));
    expect(moving.length).toBeGreaterThan(5);
    for (const [name, text] of moving)
      expect([name, text.includes("' $transitions '")]).toEqual([name, true]);
  });
});
