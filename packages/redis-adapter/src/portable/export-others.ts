import { dayOf, portions, type PortableRecord } from '@agent-orchestrator/core/storage';
import type { Redis } from 'ioredis';
import { readDetails, readUsage } from '../tenants/stored-usage.js';
import { answerOf } from '../server/storage-errors.js';
import type { RedisState } from '../scripts/tenant-steps.js';

const DAY_MS = 24 * 60 * 60_000;
/** Keys that a step of the scan looks at. */
const SCANNED_AT_ONCE = 1_000;
const KEY = /:tasks:\{([^}]*)\}:@key:(.*)$/s;
const USAGE = /:usage:\{([^}]*)\}:(\d+)$/;
const DETAILS = /:usage:\{([^}]*)\}:(\d+):by$/;
/** Bytes of a row of usage besides its names, about. */
const SMALL = 100;
const REMEMBERED = /^(\d+) (\S+) (task|batch|session) (.*)$/s;

/**
 * Idempotency keys and usage of all tenants: no index has them, so that all keys of the servers are looked at. Each is
 * returned once.
 */
export async function* otherRecords(state: RedisState, now: number): AsyncGenerator<PortableRecord> {
  const { topology, keys } = state.parts;
  for await (const [tenantId, key, name] of scan(topology.masters(), keys.scans.keys, KEY)) {
    const record = await keyRecord(state, { tenantId, key, name }, now);
    if (record) yield record;
  }
  for await (const [tenantId, day, name] of scan(topology.masters(), keys.scans.usage, USAGE)) {
    const oldest = Math.floor((now - state.parts.limits.usageRetentionMs) / DAY_MS) - 1;
    const record = Number(day) < oldest ? undefined : await usageRecord(state, tenantId, Number(day), name);
    if (record) yield record;
  }
  for await (const [tenantId, day, name] of scan(topology.masters(), keys.scans.usage, DETAILS)) {
    const oldest = Math.floor((now - state.parts.limits.usageDetailRetentionMs) / DAY_MS) - 1;
    if (Number(day) < oldest) continue;
    const rows = readDetails(await answerOf(state.parts.client.hgetall(name)));
    const about = { kind: 'usage_details', tenant_id: tenantId, day: dayOf(Number(day) * DAY_MS) } as const;
    for (const page of portions(rows, (row) => SMALL + JSON.stringify(row).length))
      yield { ...about, rows: page };
  }
}

/** Tenant, rest and name of each key, once: a scan may return a key twice. */
export async function* scan(
  servers: readonly Redis[],
  pattern: string,
  form: RegExp,
): AsyncGenerator<readonly [string, string, string]> {
  const seen = new Set<string>();
  for (const server of servers) {
    let cursor = '0';
    do {
      const [next, names] = await answerOf(server.scan(cursor, 'MATCH', pattern, 'COUNT', SCANNED_AT_ONCE));
      for (const name of names) {
        const [, tenantId, rest] = form.exec(name) ?? [];
        if (tenantId === undefined || rest === undefined || seen.has(name)) continue;
        seen.add(name);
        yield [tenantId, rest, name];
      }
      cursor = next;
    } while (cursor !== '0');
  }
}

async function keyRecord(
  { parts, keys }: RedisState,
  { tenantId, key, name }: { readonly tenantId: string; readonly key: string; readonly name: string },
  now: number,
): Promise<PortableRecord | undefined> {
  const text = await answerOf(parts.client.get(name));
  const [, until, digest, of, id] = REMEMBERED.exec(text ?? '') ?? [];
  if (digest === undefined || id === undefined || Number(until) <= now) return undefined;
  const target =
    of === 'task'
      ? keys.task(tenantId, id)
      : of === 'batch'
        ? keys.task(tenantId, `@batch:${id}`)
        : keys.session(tenantId, id);
  // A key of something that is not kept any more is the same as none.
  if ((await answerOf(parts.client.exists(target))) === 0) return undefined;
  const made = { until: Number(until), of: of as 'task' | 'batch' | 'session', id };
  return { kind: 'key', tenant_id: tenantId, key, digest, ...made };
}

async function usageRecord(
  { parts }: RedisState,
  tenantId: string,
  days: number,
  name: string,
): Promise<PortableRecord | undefined> {
  const fields = await answerOf(parts.client.hgetall(name));
  const rows = readUsage(fields);
  if (rows.length === 0) return undefined;
  return { kind: 'usage', tenant_id: tenantId, day: dayOf(days * DAY_MS), rows };
}
