import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Memory in use by this process, in MiB, after a garbage collection. */
export function heldMiB(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

/** A growth of memory as text. */
export function growth(mib: number): string {
  return `memory ${mib < 0 ? '' : '+'}${mib.toFixed(1)} MiB`;
}
