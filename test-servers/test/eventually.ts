import { setTimeout as delay } from 'node:timers/promises';

/** Waits until something is so; whoever waits for ever is ended by the test's own limit. */
export async function eventually(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await delay(10);
}

export function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
