import { fieldText } from '@agent-orchestrator/core/protocol';
import type {
  BatchItemsRecord,
  BatchRecord,
  CancellingRecord,
  KeyRecord,
  MessagesRecord,
  PortableRecord,
  SessionRecord,
  TenantRecord,
  TenantSettings,
  UsageDetailsRecord,
  UsageRecord,
} from '@agent-orchestrator/core/storage';
import { settingsFromWire } from '@agent-orchestrator/core/storage';
import { storedSettings } from '../tenants/stored-settings.js';
import { writeDetails, writeUsage } from '../tenants/stored-usage.js';
import { isFinalState } from '@agent-orchestrator/core/protocol';
import { bytesOf, type Command, inParts } from './commands.js';
import { type ImportContext, TaskImport } from './import-task.js';

const DAY_MS = 24 * 60 * 60_000;
/** As in the script `tenant_summary`: records above this part of a page count in the budget of a claim. */
const LARGE_PART = 64;

/** The records of one tenant as commands, in their order. */
export class TenantImport {
  #sessions = 0;
  #messages = 0;
  #task: TaskImport | undefined;
  /** Type of all tasks that have not ended, '' when they differ; and whether one of them is large. */
  #type: string | undefined;
  #isLarge = false;
  readonly #cancelling = new Set<string>();
  /** With the tenant's own retention. */
  #context: ImportContext;

  constructor(
    private readonly context: ImportContext,
    /** Key of the usage of a day, counted from 1970-01-01. */
    private readonly usageKey: (day: number) => string,
  ) {
    this.#context = context;
  }

  /** Commands that a record before this one, of this tenant, has left: those of a task come behind its journal. */
  *before(next: PortableRecord | undefined): Generator<Command> {
    if (!this.#task || next?.kind === 'journal') return;
    yield* this.#task.end();
    yield* this.#summary(this.#task);
    this.#task = undefined;
  }

  *add(record: PortableRecord): Generator<Command> {
    switch (record.kind) {
      case 'tenant':
        return yield* this.#tenant(record);
      case 'session':
        return yield* this.#session(record);
      case 'messages':
        return yield* this.#addMessages(record);
      case 'batch':
        return yield* this.#batch(record);
      case 'task':
        this.#task = new TaskImport(this.#context, record);
        return undefined;
      case 'journal':
        return yield* (this.#task as TaskImport).journal(record);
      case 'batch_items':
        return yield* this.#items(record);
      case 'key':
        return yield* this.#key(record);
      case 'usage':
        return yield* this.#usage(record);
      case 'usage_details':
        return yield* this.#usageDetails(record);
      default:
        return record satisfies never;
    }
  }

  *#tenant(record: TenantRecord): Generator<Command> {
    const { keys, timers, limits, now } = this.context;
    const settings = settingsFromWire(record) as unknown as TenantSettings;
    const { retentionMs, maxWaiting, maxStoredBytes, types, budgets } = settings;
    if (retentionMs !== undefined) this.#context = { ...this.context, limits: { ...limits, retentionMs } };
    const isGuarded = maxWaiting ?? maxStoredBytes ?? types ?? budgets;
    const fields = [
      ['known', 1],
      ['epoch', now.toString(16)],
      ['seq', record.seq],
      ['claimed', record.claimed],
      ['group_sequence', record.lined],
    ] as const;
    yield ['PERSIST', keys.meta];
    yield [
      'HSET',
      keys.meta,
      ...fields.flat(),
      ...storedSettings(settings),
      ...(isGuarded ? ['guarded', 1] : []),
    ];
    yield timers.schedule('events', now + limits.maxEventAgeMs, '');
  }

  *#session(record: SessionRecord): Generator<Command> {
    const { keys, timers, limits, now } = this.context;
    const { session_id: id, agent_id: agent, updated_at: updated } = record;
    const key = keys.session(id);
    const context = fieldText(record, 'context');
    const fields = [
      'status',
      record.status,
      'created',
      record.created_at,
      'updated',
      updated,
      'rev',
      record.rev,
    ];
    yield ['HSET', key, ...fields, 'context', context, ...(agent === undefined ? [] : ['agent', agent])];
    yield* this.#charge(key, bytesOf(context));
    yield ['ZADD', `${keys.prefix}@sessions`, this.#sessions, id];
    this.#sessions += 1;
    yield ['HSET', keys.meta, 'session_sequence', this.#sessions];
    yield timers.schedule('session', Math.max(now + 1_000, updated + limits.sessionIdleMs), id);
    if (record.cancelling) yield* this.#cancel(key, `session\n${id}`, '+inf', record.cancelling);
    this.#messages = 0;
  }

  *#charge(session: string, bytes: number): Generator<Command> {
    yield ['HINCRBY', session, 'bytes', bytes];
    yield ['HINCRBY', this.context.keys.meta, 'stored', bytes];
  }

  /** The sweeper goes on with a cancellation, from its first task again. */
  *#cancel(key: string, what: string, left: string | number, how: CancellingRecord): Generator<Command> {
    const fields = ['cancel_left', left, 'cancel_reason', how.reason, 'cancel_grace', how.grace_ms];
    yield ['HSET', key, ...fields, 'cancel_requested', 0];
    yield this.context.timers.schedule('cancel', this.context.now, what);
  }

  *#addMessages({ session_id: id, messages }: MessagesRecord): Generator<Command> {
    const key = this.context.keys.session(id);
    for (const message of messages) {
      const { created_at: at, ...rest } = message;
      const text = `${message.message_id}\n{"created_at":${at},${JSON.stringify(rest).slice(1)}`;
      this.#messages += 1;
      yield ['RPUSH', `${key}:messages`, text];
      yield ['ZADD', `${key}:message_ids`, this.#messages, message.message_id];
      yield ['RPUSH', `${key}:message_bytes`, bytesOf(text)];
      yield* this.#charge(key, bytesOf(text));
    }
    yield ['HSET', key, 'message_seq', this.#messages];
  }

  *#batch(record: BatchRecord): Generator<Command> {
    const { keys, timers, limits, now } = this.context;
    const { batch_id: id, created_at: created } = record;
    const key = keys.batch(id);
    const fields = ['max', record.max_in_flight, 'fail_fast', record.fail_fast ? 1 : 0, 'created', created];
    yield ['HSET', key, ...fields];
    yield timers.schedule('batch', Math.max(now, created + limits.retentionMs), id);
    if (!record.cancelling) return;
    this.#cancelling.add(id);
    yield* this.#cancel(key, `batch\n${id}`, 0, record.cancelling);
  }

  *#items({ batch_id: id, items }: BatchItemsRecord): Generator<Command> {
    const key = this.context.keys.batch(id);
    const texts = items.map((item) =>
      'task_id' in item ? item.task_id : 'gone_id' in item ? item.gone_id : JSON.stringify(item.error),
    );
    yield* inParts('RPUSH', `${key}:items`, texts);
    const gone = items.flatMap((item) => ('gone_id' in item ? [item.gone_id, item.state] : []));
    yield* inParts('HSET', `${key}:gone`, gone, 2);
    if (this.#cancelling.has(id)) yield ['HINCRBY', key, 'cancel_left', items.length];
  }

  /** What a claim need not read each task for. */
  *#summary({ task, recordBytes }: TaskImport): Generator<Command> {
    if (isFinalState(task.state)) return;
    const { keys, limits } = this.context;
    const type = this.#type === undefined || this.#type === task.type ? task.type : '';
    const isLarge = this.#isLarge || recordBytes > limits.pageBytes / LARGE_PART;
    if (type === this.#type && isLarge === this.#isLarge) return;
    this.#type = type;
    this.#isLarge = isLarge;
    yield ['HSET', keys.meta, 'type', type, 'large', isLarge ? 1 : 0];
  }

  *#key({ key, digest, until, of, id }: KeyRecord): Generator<Command> {
    const { keys, now } = this.context;
    if (until <= now) return;
    yield ['SET', `${keys.prefix}@key:${key}`, `${until} ${digest} ${of} ${id}`, 'PX', until - now];
  }

  *#usage({ day, rows }: UsageRecord): Generator<Command> {
    const at = Date.parse(day);
    const key = this.usageKey(Math.floor(at / DAY_MS));
    const left = at + this.context.limits.usageRetentionMs + 2 * DAY_MS - this.context.now;
    if (left <= 0) return;
    yield* inParts('HSET', key, writeUsage(rows), 2);
    yield ['PEXPIRE', key, left];
  }

  *#usageDetails({ day, rows }: UsageDetailsRecord): Generator<Command> {
    const at = Date.parse(day);
    const key = `${this.usageKey(Math.floor(at / DAY_MS))}:by`;
    const left = at + this.context.limits.usageDetailRetentionMs + 2 * DAY_MS - this.context.now;
    if (left <= 0) return;
    yield* inParts('HSET', key, writeDetails(rows), 2);
    yield ['PEXPIRE', key, left];
  }
}
