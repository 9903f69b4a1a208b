import type { CommandParams } from '../command.js';
import type { CommandGate } from '../engine-gate.js';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Repeats a step until it returns false, and yields to the event loop in between.
 * @param signal stops before the next step.
 */
export async function inPortions(step: () => Promise<boolean>, signal?: AbortSignal): Promise<void> {
  const mayContinue = () => signal?.aborted !== true;
  while ((await step()) && mayContinue()) await nextTurn();
}

/** The portions of a cancellation after its first; the sweeper continues where `signal` stops it. */
export async function cancelAll(
  gate: CommandGate,
  params: CommandParams<'tasks.cancelMore'>,
  signal?: AbortSignal,
): Promise<void> {
  await nextTurn();
  if (signal?.aborted === true) return;
  await inPortions(async () => (await gate.execute('tasks.cancelMore', params)).more, signal);
}
