import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WorkflowFunction } from '../src/index.js';
import { ScriptedService, TestOrchestrator, type TestOptions } from '../src/testing/index.js';

/** More real time than the turns of the event loop between two timers take. */
const SOME_MS = 60;

let server: Server;
let url: string;
let requests: number;
beforeEach(async () => {
  requests = 0;
  server = createServer((_, response) => {
    requests += 1;
    setTimeout(() => response.end('{"result":"over HTTP"}'), SOME_MS);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function ended(fn: WorkflowFunction, options: TestOptions = {}, payload: object = {}) {
  await using test = await TestOrchestrator.start(options, (orchestrator) =>
    orchestrator.workflow('works', fn),
  );
  const startedAt = test.clock.now();
  const task = await test.ended(await test.tenant.tasks.submit({ type: 'works', payload }));
  return { task, movedMs: test.clock.now() - startedAt };
}

describe('a test on a manual clock waits in real time for', () => {
  it.each<[string, WorkflowFunction]>([
    ['a function of ctx.run', (ctx) => ctx.run('wait', () => pause(SOME_MS, 'done'))],
    ['a workflow function', () => pause(SOME_MS, 'done')],
    [
      'a workflow function, after a step',
      async (ctx) => {
        await ctx.run('first', () => 1);
        return pause(SOME_MS, 'done');
      },
    ],
    [
      'several at once',
      async (ctx) =>
        (await Promise.all(['done', 'b'].map((name) => ctx.run('wait', () => pause(SOME_MS, name)))))[0],
    ],
  ])('%s, without moving the clock', async (_, fn) => {
    const { task, movedMs } = await ended(fn);
    expect(task).toMatchObject({ status: 'completed', attempt: 1, result: 'done' });
    expect(movedMs).toBe(0);
  });

  it('a service in this process, which is called once', async () => {
    const slow = new ScriptedService({ work: () => pause(SOME_MS, 'done') });
    const { task, movedMs } = await ended((ctx) => ctx.call('slow', 'work'), { services: { slow } });
    expect([task.result, movedMs, slow.calls.length]).toEqual(['done', 0, 1]);
  });

  it('a service over HTTP, which is called once', async () => {
    const { task, movedMs } = await ended((ctx) => ctx.call('remote', 'work'), {
      services: { remote: { url } },
    });
    expect([task.result, movedMs, requests]).toEqual(['over HTTP', 0, 1]);
  });

  it('a task with a large payload', async () => {
    const { task, movedMs } = await ended(({ attempt }) => attempt, {}, { text: ['x'.repeat(900_000)] });
    expect([task.result, movedMs]).toEqual([1, 0]);
  });

  it('nothing while the workflow sleeps', async () => {
    const { task, movedMs } = await ended(async (ctx) => {
      await ctx.run('first', () => pause(SOME_MS));
      await ctx.sleep(10 * 60_000);
      return ctx.run('second', () => pause(SOME_MS, 'done'));
    });
    expect([task.result, movedMs]).toEqual(['done', 10 * 60_000]);
  });

  it('work that never ends up to a limit, so that its time limit can fire', async () => {
    const stuck = new ScriptedService({ work: () => new Promise(() => {}) });
    const { task } = await ended((ctx) => ctx.call('stuck', 'work', {}, { retry: { maxAttempts: 1 } }), {
      services: { stuck },
      realTimeMs: 20,
    });
    expect(task).toMatchObject({ status: 'failed', error: { code: 'timeout' } });
    expect(task.error?.message).toContain('has not responded within 30000 ms');
  });
});
