/** Work for a competitor. */
export type Order =
  /** Stores tasks, a number of them at a time; `tenants` alternate. */
  | {
      readonly work: 'submit';
      readonly tenants: number;
      readonly tasks: number;
      readonly inFlight: number;
    }
  /** Stores tasks with as few requests as possible, sequentially. */
  | { readonly work: 'bulk'; readonly tenants: number; readonly tasks: number; readonly size: number }
  /** Stores tasks in any way: only the next stage counts. */
  | { readonly work: 'fill'; readonly tenants: number; readonly tasks: number }
  /** One worker runs the first `tasks` of the waiting tasks. */
  | { readonly work: 'drain'; readonly tasks: number; readonly concurrency: number; readonly ahead?: number }
  /** Submits at a rate, and waits for each result at the submitter. */
  | {
      readonly work: 'end to end';
      readonly tenants: number;
      readonly tasks: number;
      readonly perSecond: number;
      readonly concurrency: number;
    };

/** Everything is connected: only `run` is measured. */
export interface Prepared {
  /** Latency of each task from submission to result, ms, where known. */
  run(): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** Address of a competitor's storage. */
export type Target = string | { readonly nodes: readonly string[] };

export interface Competitor {
  prepare(order: Order): Promise<Prepared>;
}

export const QUEUE = 'bench';
const PAYLOAD_BYTES = 1_024;
const HEAD = { kind: 'question', language: 'en', options: { detail: 'high', limit: 10 } };
const TEXT = 'The quick brown fox jumps over the lazy dog. '
  .repeat(25)
  .slice(0, PAYLOAD_BYTES - JSON.stringify({ ...HEAD, task: 10_000, text: '' }).length);

/** About 1 KB as JSON. */
export function payloadOf(task: number) {
  return { ...HEAD, task, text: TEXT };
}

/** 0 to 9. */
export function priorityOf(task: number): number {
  return (task * 7_919) % 10;
}

export function resultOf({ task }: { readonly task: number }) {
  return { ok: true, task };
}

/** Calls a function for each number below `count`, `inFlight` at a time. */
export async function eachInFlight(
  count: number,
  inFlight: number,
  act: (at: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const at = next;
      next += 1;
      await act(at);
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, lane));
}

/** Calls a function for each number below `count` at an even pace; returns the duration of each call, ms. */
export async function eachInPace(
  count: number,
  perSecond: number,
  act: (at: number) => Promise<unknown>,
): Promise<readonly number[]> {
  const latencies: Promise<number>[] = [];
  const timed = async (at: number) => {
    const began = performance.now();
    await act(at);
    return performance.now() - began;
  };
  const began = performance.now();
  while (latencies.length < count) {
    const dueAt = began + (latencies.length / perSecond) * 1_000;
    const early = dueAt - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, Math.ceil(early)));
    latencies.push(timed(latencies.length));
  }
  return Promise.all(latencies);
}

/** Resolves once `done` was called `times` times. */
export function countdown(times: number): { readonly done: () => void; readonly ended: Promise<void> } {
  let left = times;
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const done = () => {
    left -= 1;
    if (left === 0) end();
  };
  return { done, ended };
}

/** For competitors without latencies of single tasks. */
export const NO_LATENCIES: readonly number[] = [];
