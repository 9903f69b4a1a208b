import { setTimeout as delay } from 'node:timers/promises';

/** Polls until a fact is true; otherwise the test's own limit ends the wait. */
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
