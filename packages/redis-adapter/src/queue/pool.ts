import { createHash } from 'node:crypto';
import type { Runnable } from '@agent-orchestrator/core/storage';

/** Types and versions that workers run. Each pool has a rotation of tenants of its own. */
export interface Pool {
  readonly id: string;
  /** By type: versions, the newest first. */
  readonly runs: Readonly<Record<string, readonly number[]>>;
}

const pools = new WeakMap<readonly Runnable[], Pool>();

export function poolOf(runnables: readonly Runnable[]): Pool {
  const known = pools.get(runnables);
  if (known) return known;
  const sorted = runnables
    .map(({ type, versions }) => [type, versions.toSorted((a, b) => b - a)] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  const id = createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 12);
  const pool = { id, runs: Object.fromEntries(sorted) };
  pools.set(runnables, pool);
  return pool;
}
