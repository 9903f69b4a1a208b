import type {
  BatchItemRecord,
  CancellingRecord,
  MessageOfSession,
  PortableRecord,
} from '../../storage/portable-records.js';
import { portions } from '../../storage/portable-pages.js';
import { settingsToWire } from '../../storage/settings-on-wire.js';
import type { UsageDetail } from '../../storage/usage-ledger.js';
import type { EngineState } from '../engine-state.js';
import { viewJson } from '../kept-json.js';
import { batchKey, sessionKey } from '../tasks/cancellations.js';
import { digestOfKey } from '../tasks/idempotency.js';
import {
  areDefault,
  type BatchEntry,
  type RememberedKey,
  type SessionEntry,
  type TenantState,
} from '../tenants/tenant-state.js';
import { journalRecords, taskRecord } from './export-task.js';

/** Bytes of an id and what belongs to it, about. */
const SMALL = 100;

/** Everything of an engine, which must not carry out a command meanwhile. */
export function* engineRecords(state: EngineState, now: number): Generator<PortableRecord> {
  for (const tenant of state.tenants.after(undefined)) if (isKept(tenant)) yield* tenantRecords(tenant);
  for (const tenant of state.tenants.after(undefined)) yield* keyRecords(tenant, now);
  for (const { tenantId, rows } of state.usage.days(now)) {
    const day = rows[0]?.day;
    if (day === undefined) continue;
    yield { kind: 'usage', tenant_id: tenantId, day, rows: rows.map(({ day: _, ...row }) => row) };
  }
  for (const { tenantId, rows } of state.usage.detailDays(now))
    for (const page of portions(rows, sizeOfDetail)) {
      const [{ day }] = page as [UsageDetail];
      const bare = page.map(({ day: _, ...row }) => row);
      yield { kind: 'usage_details', tenant_id: tenantId, day, rows: bare };
    }
}

function isKept({ tasks, sessions, batches, settings }: TenantState): boolean {
  return !areDefault(settings) || tasks.size > 0 || sessions.size > 0 || batches.size > 0;
}

function* tenantRecords(tenant: TenantState): Generator<PortableRecord> {
  const { tenantId: tenant_id, settings, events, claimed, lined } = tenant;
  yield {
    kind: 'tenant',
    tenant_id,
    ...settingsToWire(settings),
    seq: events.seq,
    claimed,
    lined,
  };
  const sessions = [...tenant.sessionsInOrder.before(Number.POSITIVE_INFINITY)].toReversed();
  for (const session of sessions) yield* sessionRecords(tenant, session);
  for (const batch of tenant.batches.values()) yield batchRecord(tenant, batch);
  const tasks = [...tenant.tasksInOrder.before(Number.POSITIVE_INFINITY)].toReversed();
  for (const entry of tasks) {
    yield taskRecord(tenant, entry);
    yield* journalRecords(tenant, entry);
  }
  for (const { batchId, items } of tenant.batches.values())
    for (const page of portions(items.map(itemRecord), sizeOfItem))
      yield { kind: 'batch_items', tenant_id, batch_id: batchId, items: page };
}

function cancellingOf(tenant: TenantState, key: string): { readonly cancelling?: CancellingRecord } {
  const cancellation = tenant.cancellations.get(key);
  return cancellation ? { cancelling: { reason: cancellation.reason, grace_ms: cancellation.graceMs } } : {};
}

function* sessionRecords(tenant: TenantState, entry: SessionEntry): Generator<PortableRecord> {
  const { session_id, agent_id, status, created_at, updated_at, rev } = entry.session;
  const { tenantId: tenant_id } = tenant;
  const record = {
    kind: 'session',
    tenant_id,
    session_id,
    ...(agent_id !== undefined && { agent_id }),
    status,
    created_at: Date.parse(created_at),
    updated_at: Date.parse(updated_at),
    rev,
    context: {},
    ...cancellingOf(tenant, sessionKey(session_id)),
  } as const;
  viewJson(record as { context: object }, 'context', entry.context);
  yield record;
  const messages = entry.messages.map(({ created_at: at, ...message }): MessageOfSession => ({
    ...message,
    created_at: Date.parse(at),
  }));
  for (const page of portions(messages, ({ content }) => SMALL + Buffer.byteLength(content)))
    yield { kind: 'messages', tenant_id, session_id, messages: page };
}

function batchRecord(
  tenant: TenantState,
  { batchId, createdAt, failFast, group }: BatchEntry,
): PortableRecord {
  return {
    kind: 'batch',
    tenant_id: tenant.tenantId,
    batch_id: batchId,
    created_at: createdAt,
    fail_fast: failFast,
    max_in_flight: group.capacity,
    ...cancellingOf(tenant, batchKey(batchId)),
  };
}

function itemRecord(item: BatchEntry['items'][number]): BatchItemRecord {
  if ('spec' in item) return { task_id: item.spec.task_id };
  return 'goneId' in item ? { gone_id: item.goneId, state: item.state } : { error: { ...item } };
}

function sizeOfDetail({ model, operation, session, task, agent, user }: UsageDetail): number {
  return SMALL + model.length + operation.length + session.length + task.length + agent.length + user.length;
}

function sizeOfItem(item: BatchItemRecord): number {
  return 'error' in item ? JSON.stringify(item).length : SMALL;
}

function* keyRecords(
  { tenantId: tenant_id, idempotency, ...tenant }: TenantState,
  now: number,
): Generator<PortableRecord> {
  for (const [key, remembered] of idempotency) {
    const { until, entry } = remembered;
    const target = targetOf(tenant, entry);
    if (target && until > now)
      yield { kind: 'key', tenant_id, key, digest: digestOfKey(remembered), until, ...target };
  }
}

/** What a key stands for, while it is kept. */
function targetOf(
  { tasks, batches, sessions }: Pick<TenantState, 'tasks' | 'batches' | 'sessions'>,
  entry: RememberedKey['entry'],
) {
  if ('spec' in entry) {
    const { task_id: id } = entry.spec;
    return tasks.get(id) === entry ? ({ of: 'task', id } as const) : undefined;
  }
  if ('items' in entry)
    return batches.has(entry.batchId) ? ({ of: 'batch', id: entry.batchId } as const) : undefined;
  const { session_id: id } = entry.session;
  return sessions.has(id) ? ({ of: 'session', id } as const) : undefined;
}
