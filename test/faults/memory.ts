import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What this process holds on to, in MiB: without what only waits to be collected. */
export function heldMiB(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

/** A growth for people to read. */
export function growth(mib: number): string {
  return `memory ${mib < 0 ? '' : '+'}${mib.toFixed(1)} MiB`;
}
