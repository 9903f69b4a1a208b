import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** The core of Redis and that of the Node programs; absent: the reason why they are not pinned. */
export interface Cores {
  readonly redis?: number;
  readonly node?: number;
  readonly explanation: string;
}

const run = promisify(execFile);
const TICK_US = 10_000;

/**
 * Finds two cores. Unpinned, the scheduler moves both programs, and the same one is twice as fast or slow
 * from run to run.
 */
export async function findCores(): Promise<Cores> {
  let list: string;
  try {
    const { stdout } = await run('taskset', ['-c', '-p', String(process.pid)]);
    list = stdout.slice(stdout.lastIndexOf(':') + 1).trim();
  } catch {
    return { explanation: 'not pinned, as there is no taskset: the stats vary a lot' };
  }
  const [redis, node] = list.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, at) => from + at);
  });
  if (redis === undefined || node === undefined) {
    return { explanation: 'not pinned, as there is only one core: the stats vary a lot' };
  }
  return { redis, node, explanation: `Redis pinned to core ${redis}, Node to core ${node}` };
}

/** Pins all threads of a process to a core. */
export async function pin(pid: number, core: number | undefined): Promise<void> {
  if (core !== undefined) await run('taskset', ['-a', '-c', '-p', String(core), String(pid)]);
}

/** Busy time of the two cores in microseconds, by all processes; NaN if the system does not report it. */
export async function busyUs({ redis, node }: Cores): Promise<number> {
  if (redis === undefined || node === undefined) return Number.NaN;
  const text = await readFile('/proc/stat', 'utf8').catch(() => '');
  const of = (core: number) => {
    const line = text.split('\n').find((each) => each.startsWith(`cpu${core} `));
    const [user, nice, system, , , irq, softirq] = (line ?? '').split(/\s+/).slice(1).map(Number);
    const ticks = [user, nice, system, irq, softirq].reduce<number>(
      (sum, each) => sum + (each ?? Number.NaN),
      0,
    );
    return ticks * TICK_US;
  };
  return of(redis) + of(node);
}
