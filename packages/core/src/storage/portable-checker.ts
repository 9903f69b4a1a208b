import { isFinalState } from '../protocol/task-state.js';
import { OrchestratorError } from '../protocol/errors.js';
import type {
  BatchItemsRecord,
  BatchRecord,
  JournalRecord,
  KeyRecord,
  MessagesRecord,
  PortableKind,
  PortableRecord,
  SessionRecord,
  TaskRecord,
  TenantRecord,
  UsageDetailsRecord,
  UsageRecord,
} from './portable-records.js';

/** Place of each kind among the records of its tenant. */
const STAGES: Readonly<Record<PortableKind, number>> = {
  tenant: 0,
  session: 1,
  messages: 1,
  batch: 2,
  task: 3,
  journal: 3,
  batch_items: 4,
  key: 5,
  usage: 5,
  usage_details: 5,
};
const AFTER_ALL = 5;

function refuse(expected: string, got: string): never {
  throw new OrchestratorError('invalid_request', `expected ${expected}, got ${got}`);
}

/** The ids of the current tenant. */
class TenantIds {
  readonly sessions = new Map<string, { holder?: string }>();
  readonly batches = new Set<string>();
  readonly tasks = new Set<string>();
  readonly calls = new Set<string>();
  sequence = 0;

  constructor(readonly record: TenantRecord) {}
}

/** Refuses records that are out of order, twice there, or do not fit to those before. */
export class RecordChecker {
  readonly counts = { tenants: 0, sessions: 0, messages: 0, tasks: 0, steps: 0, batches: 0, keys: 0 };
  readonly #tenants = new Set<string>();
  /** Idempotency keys and days of usage. */
  readonly #others = new Set<string>();
  #tenant: TenantIds | undefined;
  #stage = 0;
  #session: { readonly id: string; readonly messages: Set<string> } | undefined;
  #task: { readonly record: TaskRecord; readonly steps: Set<string> } | undefined;

  /** @throws {OrchestratorError} `invalid_request` with what was expected. */
  check(record: PortableRecord): void {
    this.#enter(record);
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
        return this.#checkItems(record);
      case 'key':
      case 'usage':
      case 'usage_details':
        return this.#addOther(record);
      default:
        return record satisfies never;
    }
  }

  #enter(record: PortableRecord): void {
    const { kind, tenant_id: tenantId } = record;
    const stage = STAGES[kind];
    if (kind === 'tenant') {
      if (this.#stage === AFTER_ALL) refuse('no tenant behind keys and usage', `tenant "${tenantId}"`);
    } else {
      if (stage < this.#stage) refuse('the kinds of records in their order', `"${kind}" too late`);
      const current = this.#tenant?.record.tenant_id;
      if (stage !== AFTER_ALL && current !== tenantId)
        refuse(
          `records of ${current === undefined ? 'a tenant first' : `tenant "${current}"`}`,
          `one of "${tenantId}"`,
        );
    }
    this.#stage = stage;
    if (kind !== 'messages') this.#session = undefined;
    if (kind !== 'journal') this.#task = undefined;
  }

  get #ids(): TenantIds {
    return this.#tenant as TenantIds;
  }

  #addTenant(record: TenantRecord): void {
    once(this.#tenants, record.tenant_id, 'tenant');
    this.#tenant = new TenantIds(record);
    this.counts.tenants += 1;
  }

  #addSession({ session_id: id }: SessionRecord): void {
    if (this.#ids.sessions.has(id)) refuse('each session once', `session "${id}" twice`);
    this.#ids.sessions.set(id, {});
    this.#session = { id, messages: new Set() };
    this.counts.sessions += 1;
  }

  #addMessages({ session_id: id, messages }: MessagesRecord): void {
    const session = this.#session;
    if (session?.id !== id) return refuse('messages behind their session', `those of session "${id}"`);
    for (const { message_id } of messages) once(session.messages, message_id, 'message');
    this.counts.messages += messages.length;
  }

  #addBatch({ batch_id: id }: BatchRecord): void {
    once(this.#ids.batches, id, 'batch');
    this.counts.batches += 1;
  }

  #addTask(record: TaskRecord): void {
    const { task_id: id, sequence } = record;
    once(this.#ids.tasks, id, 'task');
    const { seq } = this.#ids.record;
    if (sequence <= this.#ids.sequence || sequence > seq)
      refuse(`a sequence from ${this.#ids.sequence + 1} to ${seq} of task "${id}"`, String(sequence));
    this.#ids.sequence = sequence;
    checkState(record);
    this.#checkGroups(record);
    this.#task = { record, steps: new Set() };
    this.counts.tasks += 1;
  }

  #checkGroups({
    task_id: id,
    session_id: session,
    batch_id: batch,
    state,
    holds,
    parallel,
  }: TaskRecord): void {
    if (isFinalState(state) || state === 'tracked') return;
    const known = session === undefined ? undefined : this.#ids.sessions.get(session);
    if (session !== undefined && !known)
      refuse(`the session of task "${id}" before it`, `no session "${session}"`);
    if (batch !== undefined && !this.#ids.batches.has(batch))
      refuse(`the batch of task "${id}" before it`, `no batch "${batch}"`);
    if (!known || !holds || parallel) return;
    if (known.holder !== undefined)
      refuse(`one task at a time in session "${session}"`, `"${known.holder}" and "${id}"`);
    known.holder = id;
  }

  #addJournal({ task_id: id, steps = [], dropped = [] }: JournalRecord): void {
    const task = this.#task;
    if (task?.record.task_id !== id) return refuse('a journal behind its task', `that of task "${id}"`);
    for (const { key, rev, calls = [] } of steps) {
      once(task.steps, key, 'step');
      if (rev > task.record.journal_rev)
        refuse(`a rev of at most ${task.record.journal_rev} of step "${key}"`, String(rev));
      for (const { call_id } of calls) once(this.#ids.calls, call_id, 'call');
    }
    for (const { call_id } of dropped) once(this.#ids.calls, call_id, 'call');
    this.counts.steps += steps.length;
  }

  #checkItems({ batch_id: id, items }: BatchItemsRecord): void {
    if (!this.#ids.batches.has(id)) refuse('items of a batch', `those of an unknown one, "${id}"`);
    for (const item of items)
      if ('task_id' in item && !this.#ids.tasks.has(item.task_id))
        refuse(`a task of batch "${id}"`, `"${item.task_id}", which is not there`);
  }

  #addOther(record: KeyRecord | UsageRecord | UsageDetailsRecord): void {
    const { tenant_id: tenant } = record;
    if (record.kind === 'key') {
      once(this.#others, `key\n${tenant}\n${record.key}`, 'idempotency key', record.key);
      this.counts.keys += 1;
    } else if (record.kind === 'usage_details') {
      for (const { model, operation, session, task, agent, user } of record.rows) {
        const names = JSON.stringify([record.day, model, operation, session, task, agent, user]);
        once(this.#others, `usage\n${tenant}\n${names}`, 'row of usage', names);
      }
    } else {
      once(this.#others, `usage\n${tenant}\n${record.day}`, 'day of usage', record.day);
    }
  }
}

function once(known: Set<string>, id: string, what: string, shown = id): void {
  if (known.has(id)) refuse(`each ${what} once`, `${what} "${shown}" twice`);
  known.add(id);
}

/** What a task has exactly in some states. */
function checkState(record: TaskRecord): void {
  const { task_id: id, state } = record;
  const isEnded = isFinalState(state);
  const expected: Readonly<Record<string, boolean>> = {
    finished_at: isEnded,
    result: state === 'completed',
    error: state === 'failed' || state === 'cancelled',
    lease: state === 'leased',
    queue_priority: state === 'ready' || state === 'woken',
    due_at: state === 'scheduled',
  };
  for (const [field, isDue] of Object.entries(expected)) {
    const isThere = (record as unknown as Readonly<Record<string, unknown>>)[field] !== undefined;
    if (isThere !== isDue)
      refuse(`${isDue ? 'a' : 'no'} ${field} of task "${id}", which is ${state}`, isThere ? 'one' : 'none');
  }
  const allowed: Readonly<Record<string, boolean>> = {
    cancel_reason: state === 'leased',
    waits: state === 'waiting',
    holds: !isEnded && state !== 'waiting',
  };
  for (const [field, isAllowed] of Object.entries(allowed))
    if (!isAllowed && (record as unknown as Readonly<Record<string, unknown>>)[field] !== undefined)
      refuse(`no ${field} of task "${id}", which is ${state}`, 'one');
}
