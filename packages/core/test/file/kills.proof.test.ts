import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { FileStorage } from '../../src/file/file-storage.js';
import { SeededRandom } from '../chaos/seeded-random.js';
import { folder } from './folder.js';

const ROUNDS = 20;
const BUILT = new URL('../../dist/file/file-storage.js', import.meta.url).href;
/** Submits, claims and settles without end; prints what was acknowledged. */
const LOAD = `
const { FileStorage } = await import(process.argv[1]);
const [, , path, durability] = process.argv;
// Small logs: a thread writes snapshots all the time.
const storage = await FileStorage.open(path, { durability, minLogBytes: 200_000 });
const tenantId = 'acme';
const runs = [{ type: 'work', versions: [1] }];
const say = (what, id) => process.stdout.write(what + ' ' + id + '\\n');
async function submitting() {
  for (;;) {
    const task_id = crypto.randomUUID();
    const task = { task_id, type: 'work', priority: 4, payload: 'x'.repeat(Math.random() * 3000), metadata: {} };
    const submission = { task: { ...task, timeoutMs: 600000, maxAttempts: 9 }, onBusy: 'enqueue' };
    await storage.tasks.submit({ tenantId, submission, maxWaiting: 1000000 });
    say('submitted', task_id);
  }
}
async function settling(workerId) {
  for (;;) {
    const claims = await storage.queue.claim({ workerId, claimId: crypto.randomUUID(), max: 5, runs, leaseMs: 600000 });
    for (const { task, token } of claims) {
      const settlement = { kind: 'completed', result: 1 };
      const answer = await storage.queue.settle({ tenantId, taskId: task.task_id, token, settlement });
      if (answer === 'settled') say('completed', task.task_id);
    }
    if (claims.length === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}
await Promise.all([...Array.from({ length: 20 }, submitting), settling('a' + process.pid), settling('b' + process.pid)]);
`;

/** Runs the load until it has acknowledged `count` steps, and kills it. */
async function killedAfter(path: string, durability: string, count: number): Promise<string[]> {
  const args = ['--input-type=module', '--eval', LOAD, '--', BUILT, path, durability];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    if (lines.length === count) child.kill('SIGKILL');
  }
  await ended;
  return lines.filter((line) => /^\w+ [0-9a-f-]{36}$/.test(line));
}

/** What was acknowledged and is not there. */
async function lostOf(path: string, acknowledged: readonly string[]): Promise<string[]> {
  const storage = await FileStorage.open(path);
  const lost: string[] = [];
  for (const line of acknowledged) {
    const [what, taskId = ''] = line.split(' ');
    const found = await storage.tasks.get({ tenantId: 'acme', taskId });
    if (!found || (what === 'completed' && found.task.status !== 'completed')) lost.push(line);
  }
  await storage.close();
  return lost;
}

describe('a process under load', () => {
  it('has snapshots written by a thread, and lost nothing', { timeout: 600_000 }, async () => {
    await using place = await folder();
    const acknowledged = await killedAfter(place.path, 'process', 10_000);
    const snapshots = (await readdir(place.path)).filter((name) => /^snapshot-\d+$/.test(name));
    expect(snapshots.length).toBeGreaterThan(0);
    expect(await lostOf(place.path, acknowledged)).toEqual([]);
  });
});

describe.each(['power', 'process'])(
  'a process with durability "%s" that is killed again and again',
  (durability) => {
    it('has lost nothing that it acknowledged', { timeout: 600_000 }, async () => {
      await using place = await folder();
      const random = new SeededRandom(durability);
      const acknowledged: string[] = [];
      for (let round = 0; round < ROUNDS; round += 1)
        acknowledged.push(...(await killedAfter(place.path, durability, 1 + random.below(300))));
      const lost = await lostOf(place.path, acknowledged);
      console.log(
        `${durability}: ${acknowledged.length} acknowledged steps over ${ROUNDS} kills, ${lost.length} lost`,
      );
      expect(lost).toEqual([]);
      expect(acknowledged.filter((line) => line.startsWith('completed')).length).toBeGreaterThan(ROUNDS);
    });
  },
);
