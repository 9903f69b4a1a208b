import type { Entry, FaultHistory } from './fault-history.js';

/** The part of a history that belongs to these tenants. */
export function ofTenants(history: FaultHistory, tenants: readonly string[]): FaultHistory {
  const logs = new Map([...history.logs].filter(([tenant]) => tenants.includes(tenant)));
  const tasks = new Set([...logs.values()].flat().map(({ task_id }) => task_id));
  for (const entry of history.entries) {
    if (entry.kind === 'acknowledged' && tenants.includes(entry.tenant)) tasks.add(entry.task);
  }
  const isTheirs = (entry: Entry) => {
    if ('tenant' in entry) return tenants.includes(entry.tenant);
    if (entry.kind === 'event' || entry.kind === 'gap') return tenants.includes(history.followed);
    return !('task' in entry) || tasks.has(entry.task);
  };
  return { ...history, logs, entries: history.entries.filter(isTheirs) };
}

/** Longest time between two entries of a kind, in ms, among those around the storage's fault. */
export function longestSilence({ entries, faults }: FaultHistory, kinds: readonly Entry['kind'][]): number {
  const [strike] = faults.filter(({ kind }) => kind === 'storage');
  let longest = 0;
  let last: number | undefined;
  for (const { kind, at } of entries) {
    if (!kinds.includes(kind)) continue;
    if (strike && last !== undefined && at >= strike.at) longest = Math.max(longest, at - last);
    last = at;
  }
  return Math.round(longest);
}
