import type { JsonObject, TaskError } from '@agent-orchestrator/core';
import { addFromText, type TaskState } from '@agent-orchestrator/core/protocol';
import {
  type BatchItemRecord,
  type BatchRecord,
  type MessageOfSession,
  type PortableRecord,
  portions,
  type SessionRecord,
} from '@agent-orchestrator/core/storage';
import type { Cluster, Redis } from 'ioredis';
import { answerOf } from '../server/storage-errors.js';
import { type TenantKeys, twoParts } from './stored-records.js';

/** Sessions, and items of batches, read at once. */
const PER_PAGE = 250;
/** Messages read at once: each may have megabytes. */
const MESSAGES_AT_ONCE = 25;
const SMALL = 100;

type Client = Redis | Cluster;
type Fields = Readonly<Record<string, string>>;

/** Sessions in the order of creation, each with its recent history. */
export async function* sessionRecords(
  client: Client,
  tenantId: string,
  keys: TenantKeys,
): AsyncGenerator<PortableRecord> {
  for (let from = 0; ; from += PER_PAGE) {
    const ids = await answerOf(client.zrange(`${keys.prefix}@sessions`, from, `${from + PER_PAGE - 1}`));
    for (const id of ids) {
      const fields = await answerOf(client.hgetall(keys.session(id)));
      if (fields['status'] === undefined) continue;
      yield sessionRecord(tenantId, id, fields);
      yield* messageRecords(client, tenantId, id, keys);
    }
    if (ids.length < PER_PAGE) return;
  }
}

function sessionRecord(tenantId: string, id: string, fields: Fields): SessionRecord {
  const { agent, status, created, updated, rev, context = '{}' } = fields;
  const record = {
    kind: 'session',
    tenant_id: tenantId,
    session_id: id,
    ...(agent !== undefined && { agent_id: agent }),
    status: status === 'closed' ? 'closed' : 'active',
    created_at: Number(created),
    updated_at: Number(updated),
    rev: Number(rev),
    context: {} as JsonObject,
    ...cancellingOf(fields),
  } as const;
  addFromText(record as { context: JsonObject }, 'context', context);
  return record;
}

function cancellingOf({ cancel_left: left, cancel_reason: reason = '', cancel_grace: grace }: Fields) {
  return left === undefined ? {} : { cancelling: { reason, grace_ms: Number(grace) } };
}

async function* messageRecords(
  client: Client,
  tenantId: string,
  id: string,
  keys: TenantKeys,
): AsyncGenerator<PortableRecord> {
  for (let from = 0; ; from += MESSAGES_AT_ONCE) {
    const texts = await answerOf(
      client.lrange(`${keys.session(id)}:messages`, from, from + MESSAGES_AT_ONCE - 1),
    );
    const messages = texts.map((text) => JSON.parse(twoParts(text)[1]) as MessageOfSession);
    for (const page of portions(messages, ({ content }) => SMALL + Buffer.byteLength(content)))
      yield { kind: 'messages', tenant_id: tenantId, session_id: id, messages: page };
    if (texts.length < MESSAGES_AT_ONCE) return;
  }
}

/** Ids of batches: each has a timer while it is kept. */
export async function batchIds(client: Client, keys: TenantKeys): Promise<string[]> {
  const ids = new Set<string>();
  let cursor = '0';
  do {
    const [next, found] = await answerOf(
      client.zscan(`${keys.prefix}@due`, cursor, 'MATCH', 'batch\n*', 'COUNT', 1_000),
    );
    for (let at = 0; at < found.length; at += 2) ids.add(twoParts(found[at] as string)[1]);
    cursor = next;
  } while (cursor !== '0');
  return [...ids].toSorted();
}

/** A batch without its items; nothing if it is not kept any more. */
export async function batchRecord(
  client: Client,
  tenantId: string,
  id: string,
  keys: TenantKeys,
): Promise<BatchRecord | undefined> {
  const fields = await answerOf(client.hgetall(keys.batch(id)));
  const { created, fail_fast: failFast, max } = fields;
  if (created === undefined) return undefined;
  return {
    kind: 'batch',
    tenant_id: tenantId,
    batch_id: id,
    created_at: Number(created),
    fail_fast: failFast === '1',
    max_in_flight: Number(max),
    ...cancellingOf(fields),
  };
}

export async function* itemRecords(
  client: Client,
  tenantId: string,
  id: string,
  keys: TenantKeys,
): AsyncGenerator<PortableRecord> {
  for (let from = 0; ; from += PER_PAGE) {
    const texts = await answerOf(client.lrange(`${keys.batch(id)}:items`, from, from + PER_PAGE - 1));
    const items = await Promise.all(texts.map((text) => itemOf(client, text, id, keys)));
    for (const page of portions(items, (item) => ('error' in item ? JSON.stringify(item).length : SMALL)))
      yield { kind: 'batch_items', tenant_id: tenantId, batch_id: id, items: page };
    if (texts.length < PER_PAGE) return;
  }
}

async function itemOf(
  client: Client,
  text: string,
  batchId: string,
  keys: TenantKeys,
): Promise<BatchItemRecord> {
  if (text.startsWith('{')) return { error: JSON.parse(text) as TaskError };
  const [isKept, gone] = await answerOf(
    Promise.all([client.exists(`${keys.prefix}${text}`), client.hget(`${keys.batch(batchId)}:gone`, text)]),
  );
  if (isKept === 1) return { task_id: text };
  return { gone_id: text, state: (gone ?? 'failed') as TaskState };
}
