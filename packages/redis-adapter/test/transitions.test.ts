import { TASK_STATES, TRANSITIONS } from '@agent-orchestrator/core/protocol';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error A program of the build, without types.
import { composeScripts } from '../build/compose.mjs';
// @ts-expect-error The same.
import { luaFiles } from '../build/lua-files.mjs';
import { SCRIPTS } from '../src/generated/scripts.js';

const pairs = TRANSITIONS.map(({ from, to }) => `${from ?? ''}>${to}`);

let redis: RedisServer;
let script: string;
beforeAll(async () => {
  redis = await RedisServer.start();
  const moves = "-- @include tasks/task\nmove(load('t'), ARGV[2])\nreturn 'moved'";
  const files = new Map([...luaFiles(), ['tasks/moves.lua', moves]]);
  const composed = composeScripts(files) as readonly { name: string; statements: readonly string[] }[];
  const own = composed.find(({ name }) => name === 'moves')?.statements ?? [];
  script = own.join('').replaceAll(/\$\w+/g, '0');
});
afterAll(() => redis.stop());

describe('a task in Redis', () => {
  it.each(TASK_STATES)('moves from %s only to the states in the table of transitions', async (from) => {
    const prefix = `o:tasks:{${from}}:`;
    await redis.ask(['SET', `${prefix}t`, '{"at":1}\n{}']);
    await redis.ask(['HSET', `${prefix}@live`, 't', JSON.stringify({ state: from, since: 1, updated: 1 })]);
    const moved: string[] = [];
    for (const to of TASK_STATES) {
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
    const table = [...new Set(pairs)].join(' ');
    for (const [name, text] of moving)
      expect([name, text.includes(`local TRANSITIONS = ' ${table} '`)]).toEqual([name, true]);
  });
});
