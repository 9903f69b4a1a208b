// One side of the comparison in a process of its own: `measured-side.js <order as JSON>` prints what the run has cost.
import { open, readFile } from 'node:fs/promises';
import type { DurableOrder, DurableRun, DurableSide } from './durable-side.js';
import { startOurs } from './our-side.js';

const WARM_UP = 50;

/** Known at run time only: without the peers this file would not compile. */
async function startPeer(folder: string): Promise<DurableSide> {
  const built = new URL('../../peers/dist/openworkflow.js', import.meta.url).href;
  const { startOpenWorkflow } = (await import(built)) as {
    startOpenWorkflow: (folder: string) => Promise<DurableSide>;
  };
  return startOpenWorkflow(folder);
}

/** Counts the syncs of files of this process, other than those of SQLite. */
async function countSyncs(): Promise<() => number> {
  const handle = await open(process.execPath);
  const prototype = Object.getPrototypeOf(handle) as { datasync: () => Promise<void> };
  await handle.close();
  const { datasync } = prototype;
  let count = 0;
  prototype.datasync = function counted(this: unknown) {
    count += 1;
    return datasync.call(this);
  };
  return () => count;
}

/** Bytes of the system calls of this process that write, on Linux: to files, and for Redis to its socket. */
async function bytesWritten(): Promise<number> {
  const text = await readFile('/proc/self/io', 'utf8').catch(() => '');
  return Number(/wchar: (\d+)/.exec(text)?.[1] ?? Number.NaN);
}

async function eachInFlight(
  tasks: number,
  inFlight: number,
  one: (n: number) => Promise<void>,
): Promise<number[]> {
  const latencies: number[] = [];
  let next = 0;
  const slot = async () => {
    for (let n = next++; n < tasks; n = next++) {
      const began = performance.now();
      await one(n);
      latencies.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, slot));
  return latencies.toSorted((a, b) => a - b);
}

function percentile(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? Number.NaN;
}

const order = JSON.parse(process.argv[2] ?? '{}') as DurableOrder;
const syncs = await countSyncs();
const side = order.side === 'openworkflow' ? await startPeer(order.place) : await startOurs(order);
const { tasks, inFlight, work } = order;
const submit = side.submit?.bind(side) ?? (() => Promise.reject(new Error('not measured')));
if (work === 'workflows') await eachInFlight(WARM_UP, inFlight, (n) => side.runWorkflow(n));
if (work === 'drain') await eachInFlight(tasks, 100, submit);
globalThis.gc?.();
const [cpu, began, synced, written] = [process.cpuUsage(), performance.now(), syncs(), await bytesWritten()];
let latencies: number[] = [];
if (work === 'workflows') latencies = await eachInFlight(tasks, inFlight, (n) => side.runWorkflow(n));
else if (work === 'submit') latencies = await eachInFlight(tasks, inFlight, submit);
else await side.drain?.(tasks);
const wallMs = performance.now() - began;
const { user, system } = process.cpuUsage(cpu);
const run: DurableRun = {
  wallMs,
  cpuUs: user + system,
  ...(latencies.length > 0 && { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) }),
  syncs: order.side === 'openworkflow' ? undefined : syncs() - synced,
  bytes: (await bytesWritten()) - written,
};
process.stdout.write(`${JSON.stringify(run)}\n`);
await side.close();
process.exit(0);
