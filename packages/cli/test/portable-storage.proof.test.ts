import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { FileStorage } from '@agent-orchestrator/core';
import { askRedis, RedisServer } from '@agent-orchestrator/test-servers';
import { describe, expect, it } from 'vitest';
import { canonical } from '../../core/test/portable-records.js';
import { cli, CliProcess, type Ended, type Folder, folder } from './cli-process.js';

const TASKS = 4_000;
const TENANTS = 4;

async function fill(path: string): Promise<void> {
  const storage = await FileStorage.open(path, { durability: 'process' });
  for (let from = 0; from < TASKS; from += 100) {
    const some = Array.from({ length: 100 }, (_, n) => {
      const number = from + n;
      const task = {
        task_id: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
        type: 'work',
        priority: number % 10,
        payload: { number, text: 'x'.repeat(3_000) },
        metadata: {},
        timeoutMs: 24 * 60 * 60_000,
        maxAttempts: 3,
        ...(number % 3 === 0 && { session_id: `s-${number % 30}` }),
      };
      const submission = { task, onBusy: 'enqueue' } as const;
      return storage.tasks.submit({ tenantId: `t-${number % TENANTS}`, submission, maxWaiting: TASKS });
    });
    await Promise.all(some);
  }
  await storage.close();
}

const linesOf = ({ stdout }: Ended) => stdout.trimEnd().split('\n');

/** The same import until it is killed, which happens once so many keys are there. */
async function killed(place: Folder, redis: RedisServer, keys: number): Promise<boolean> {
  await using running = new CliProcess(['storage', 'import', 'all.jsonl', '--storage', redis.url], {
    cwd: place.path,
  });
  const over = new AbortController();
  void running.ended.then(() => over.abort());
  while (!over.signal.aborted) {
    const size = await askRedis(redis.port, ['DBSIZE']);
    if (Number(size) >= keys) {
      running.kill('SIGKILL');
      return (await running.ended).code === null;
    }
    await delay(1);
  }
  return false;
}

describe('an import that is killed', () => {
  it('hides what it has stored, and is completed by a repeat of the same file only', async () => {
    await using place = await folder();
    await fill(join(place.path, 'old'));
    const at = { cwd: place.path };
    expect((await cli(['storage', 'export', 'all.jsonl', '--storage', 'file:old'], at)).code).toBe(0);
    expect((await cli(['storage', 'export', 'other.jsonl', '--storage', 'file:old'], at)).code).toBe(0);
    await using redis = await RedisServer.start();
    const { url } = redis;
    let kills = 0;
    for (const keys of [200, 1_500, 3_000]) {
      if (!(await killed(place, redis, keys))) continue;
      kills += 1;
      for (const args of [
        ['queues', 'list', '--storage', url],
        ['serve', '--port', '0', '--storage', url],
        ['storage', 'export', '--storage', url],
      ])
        expect(
          await cli(args, { ...at, env: { ORCHESTRATOR_API_KEYS: 'key-of-acme-0123=acme' } }),
        ).toMatchObject({
          code: 78,
          stdout: '',
          stderr: expect.stringContaining(
            'repeat "orchestrator-cli storage import" with the same file',
          ) as string,
        });
    }
    expect(kills).toBeGreaterThan(1);
    // The place of the killed process is free again after a while.
    const other = await cli(['storage', 'import', 'other.jsonl', '--storage', url], at);
    expect(other).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('expected the export whose import was begun') as string,
    });
    const done = await cli(['storage', 'import', 'all.jsonl', '--storage', url], at);
    expect(done).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`${TASKS} tasks are in`) as string,
    });
    const [before, after] = [
      await cli(['storage', 'export', '--storage', 'file:old'], at),
      await cli(['storage', 'export', '--storage', url], at),
    ];
    // A difference would be megabytes.
    expect(isDeepStrictEqual(canonical(linesOf(after)), canonical(linesOf(before)))).toBe(true);
    expect((await cli(['queues', 'list', '--storage', url], at)).code).toBe(0);
  }, 300_000);
});
