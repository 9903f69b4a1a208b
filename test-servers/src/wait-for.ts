import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;

/** Polls until the answer is yes. @throws {Error} with the awaited condition and the last reason. */
export async function waitFor(
  what: string,
  timeoutMs: number,
  isSo: () => Promise<boolean>,
  details: () => string = () => '',
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let reason = 'it is not so';
  for (;;) {
    try {
      if (await isSo()) return;
      reason = 'it is not so';
    } catch (error) {
      if (error instanceof NeverError) throw error;
      reason = (error as Error).message;
    }
    if (performance.now() > deadline) {
      throw new Error(`${what}: not within ${timeoutMs} ms (${reason})${details()}`);
    }
    await delay(POLL_MS);
  }
}

/** The condition can no longer be met: stops polling. */
export class NeverError extends Error {
  override readonly name = 'NeverError';
}
