import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** Inside the repository, so that packages resolve as in a user's project. */
const folder = fileURLToPath(new URL('../node_modules/.unhandled-rejections', import.meta.url));
const program = join(folder, 'main.mjs');

/**
 * Runs a task that leaves a promise rejected, then does the same after the orchestrator's end if `after` is
 * set.
 */
const PROGRAM = `
import { Orchestrator } from '@agent-orchestrator/core';

const { options, host, after, thrown, twin } = JSON.parse(process.argv[2]);
const quiet = () => {};
const error = (message, fields) => console.log('log', message, fields.error, fields.causes, fields.stack?.includes('main.mjs'));
const logger = { debug: quiet, info: quiet, warn: quiet, error };
const orchestrator = new Orchestrator(twin ? options : { ...options, logger });
if (host) process.on('unhandledRejection', (reason) => console.log('host', reason.message));

orchestrator.workflow('careless', async (ctx) => {
  const helper = async () => {
    throw new Error('left alone', { cause: new Error('the cause') });
  };
  if (thrown) setTimeout(() => { throw new Error('from a timer'); });
  else void helper();
  ctx.run('own', () => { throw new Error('of a step'); });
  ctx.run('own', () => 'a second step of that id');
  await ctx.sleep(20);
  return 'done';
});
await orchestrator.start();
if (twin) {
  const other = new Orchestrator();
  await other.start();
  await other.stop();
}
if (options.role === 'api') void Promise.reject(new Error('left alone'));
const { tasks } = orchestrator.tenant('acme');
const { task_id } = await tasks.submit({ type: 'careless' });
const { status } = await tasks.wait(task_id);
console.log(status);
await orchestrator.stop();
await orchestrator.stop();
console.log('listeners', process.listenerCount('unhandledRejection'));
if (after) void Promise.reject(new Error('later'));
`;

beforeAll(async () => {
  await mkdir(folder, { recursive: true });
  await writeFile(program, PROGRAM);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Scenario {
  readonly options?: object;
  readonly host?: boolean;
  readonly after?: boolean;
  readonly thrown?: boolean;
  /** Another orchestrator is started and stopped before; neither has a logger. */
  readonly twin?: boolean;
}

function run({ options = {}, ...scenario }: Scenario = {}): Promise<{
  readonly code: number;
  readonly lines: readonly string[];
  readonly stderr: string;
}> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [program, JSON.stringify({ options, ...scenario })],
      (_, stdout, stderr) =>
        resolve({ code: child.exitCode ?? -1, lines: stdout.trim().split('\n'), stderr }),
    );
  });
}

const LOGGED = "log unhandled rejection left alone [ 'the cause' ] true";

describe('a promise that a workflow leaves rejected', () => {
  it('is logged with a process warning, and ends neither its task nor the process', async () => {
    const { code, lines, stderr } = await run();
    expect([code, lines]).toEqual([0, [LOGGED, 'completed', 'listeners 0']]);
    expect(stderr).toContain(
      'UnhandledRejection: a promise was rejected and nothing caught it: Error: left alone',
    );
    // A step without an await is no such promise.
    expect(stderr).not.toContain('of a step');
    expect(stderr).not.toContain('expected a unique id');
  });

  it('is contained after another orchestrator without a logger was started and stopped', async () => {
    const { code, lines, stderr } = await run({ twin: true });
    expect([code, lines]).toEqual([0, ['completed', 'listeners 0']]);
    expect(stderr).toContain('nothing caught it: Error: left alone');
  });

  it('also reaches a listener of the host, which decides', async () => {
    const { code, lines } = await run({ host: true });
    expect([code, lines]).toEqual([0, ['host left alone', LOGGED, 'completed', 'listeners 1']]);
  });

  it.each<[string, Scenario, RegExp]>([
    ['when the host leaves it to Node', { options: { unhandledRejections: 'node' } }, /left alone/],
    ['in a process that runs no tasks', { options: { role: 'api' } }, /left alone/],
    ['when no orchestrator runs any more', { after: true }, /later/],
    ['when it is an exception in the callback of a timer', { thrown: true }, /from a timer/],
  ])('ends the process %s', async (_, scenario, message) => {
    const { code, stderr } = await run(scenario);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });
});
