import type {
  BatchItemsRecord,
  BatchRecord,
  CancellingRecord,
  JournalRecord,
  KeyRecord,
  MessagesRecord,
  PortableRecord,
  SessionRecord,
  TaskRecord,
  TenantRecord,
} from '../../storage/portable-records.js';
import { settingsFromWire } from '../../storage/settings-on-wire.js';
import type { TenantSettings } from '../../storage/tenant-store.js';
import type { EngineState } from '../engine-state.js';
import { keepJson } from '../kept-json.js';
import { ConcurrencyGroup } from '../queue/concurrency-group.js';
import { fingerprintOfDigest } from '../tasks/idempotency.js';
import type { TaskEntry } from '../tasks/task-entry.js';
import { TaskLife } from '../tasks/task-life.js';
import { areDefault, type BatchEntry, SessionEntry, type TenantState } from '../tenants/tenant-state.js';
import { TaskFiller } from './task-filler.js';

interface OpenCancelling {
  readonly of: SessionEntry | BatchEntry;
  readonly how: CancellingRecord;
}

/**
 * Fills the state of a new engine with records that a `RecordChecker` has accepted, in their order. The state is whole after
 * `end`, and not before.
 */
export class EngineFiller {
  readonly #life: TaskLife;
  readonly #tasks: TaskFiller;
  #tenant: TenantState | undefined;
  #session: SessionEntry | undefined;
  #task: TaskEntry | undefined;
  #cancelling: OpenCancelling[] = [];

  /** @param newToken of leases, whose workers are gone. */
  constructor(
    private readonly state: EngineState,
    private readonly now: number,
    newToken: () => string,
  ) {
    state.begin(now);
    this.#life = new TaskLife(state);
    this.#tasks = new TaskFiller(state, this.#life, now, newToken);
  }

  add(record: PortableRecord): void {
    switch (record.kind) {
      case 'tenant':
        return this.#addTenant(record);
      case 'session':
        return this.#addSession(record);
      case 'messages':
        return this.#addMessages(record);
      case 'batch':
        return this.#addBatch(record);
      case 'task':
        return this.#addTask(record);
      case 'journal':
        return this.#addJournal(record);
      case 'batch_items':
        return this.#addItems(record);
      case 'key':
        return this.#addKey(record);
      case 'usage':
        for (const row of record.rows)
          this.state.usage.restore(record.tenant_id, { day: record.day, ...row });
        return undefined;
      case 'usage_details':
        for (const row of record.rows)
          this.state.usage.restoreDetail(record.tenant_id, { day: record.day, ...row });
        return undefined;
      default:
        return record satisfies never;
    }
  }

  end(): void {
    this.#endTenant();
    // Nothing listens yet.
    this.state.takeEffects();
  }

  get #current(): TenantState {
    if (!this.#tenant) throw new Error('expected a tenant first');
    return this.#tenant;
  }

  /** Cancellations go on once all tasks of the tenant are there. */
  #endTenant(): void {
    for (const { of, how } of this.#cancelling)
      this.#life.cancellations.restore(this.#current, of, { reason: how.reason, graceMs: how.grace_ms });
    this.#cancelling = [];
    this.#tenant = undefined;
    this.state.takeEffects();
  }

  #addTenant(record: TenantRecord): void {
    this.#endTenant();
    const settings = settingsFromWire(record) as unknown as TenantSettings;
    const tenant = this.state.tenant(record.tenant_id);
    if (!areDefault(settings)) tenant.settings = settings;
    tenant.claimed = record.claimed;
    tenant.lined = record.lined;
    tenant.events.startAfter(record.seq);
    this.#tenant = tenant;
  }

  #addSession(record: SessionRecord): void {
    const tenant = this.#current;
    const { session_id, agent_id, status, created_at, updated_at, rev } = record;
    tenant.sessionsMade += 1;
    const session = {
      session_id,
      tenant_id: tenant.tenantId,
      ...(agent_id !== undefined && { agent_id }),
      status,
      created_at: new Date(created_at).toISOString(),
      updated_at: new Date(updated_at).toISOString(),
      rev,
    };
    const entry = new SessionEntry(tenant, tenant.sessionsMade, session, {});
    entry.putContext(keepJson(record.context, { charge: () => undefined }));
    tenant.sessions.set(session_id, entry);
    tenant.sessionsInOrder.add(entry.sequence, entry);
    const at = Math.max(this.now + 1_000, updated_at + this.state.limits.sessionIdleMs);
    this.state.schedule('session', at, { tenantId: tenant.tenantId, id: session_id });
    if (record.cancelling) this.#cancelling.push({ of: entry, how: record.cancelling });
    this.#session = entry;
  }

  #addMessages({ messages }: MessagesRecord): void {
    const entry = this.#session as SessionEntry;
    for (const { created_at: at, ...message } of messages) {
      entry.messages.push({ ...message, created_at: new Date(at).toISOString() });
      entry.messageIds.add(message.message_id);
      entry.charge(Buffer.byteLength(message.content));
    }
  }

  #addBatch(record: BatchRecord): void {
    const tenant = this.#current;
    const entry: BatchEntry = {
      batchId: record.batch_id,
      createdAt: record.created_at,
      failFast: record.fail_fast,
      group: new ConcurrencyGroup(record.max_in_flight, false),
      items: [],
      passed: 0,
    };
    tenant.batches.set(record.batch_id, entry);
    const at = Math.max(this.now, record.created_at + this.state.limits.retentionMs);
    this.state.schedule('batch', at, { tenantId: tenant.tenantId, id: record.batch_id });
    if (record.cancelling) this.#cancelling.push({ of: entry, how: record.cancelling });
  }

  #addTask(record: TaskRecord): void {
    this.#task = this.#tasks.add(this.#current, record);
  }

  #addJournal(record: JournalRecord): void {
    this.#tasks.addJournal(this.#task as TaskEntry, record);
  }

  #addItems({ batch_id: id, items }: BatchItemsRecord): void {
    const { batches, tasks } = this.#current;
    const batch = batches.get(id) as BatchEntry;
    for (const item of items) {
      if ('task_id' in item) batch.items.push(tasks.get(item.task_id) as TaskEntry);
      else if ('gone_id' in item) batch.items.push({ goneId: item.gone_id, state: item.state });
      else batch.items.push(item.error);
    }
  }

  /** A key of something that is not kept any more is the same as none. */
  #addKey({ tenant_id: tenantId, key, digest, until, of, id }: KeyRecord): void {
    const tenant = this.state.tenants.get(tenantId);
    const entry =
      of === 'task'
        ? tenant?.tasks.get(id)
        : of === 'batch'
          ? tenant?.batches.get(id)
          : tenant?.sessions.get(id);
    if (!tenant || !entry || until <= this.now) return;
    tenant.idempotency.set(key, { fingerprint: fingerprintOfDigest(digest), until, entry });
    this.state.schedule('idempotency', until, { tenantId, id: key });
  }
}
