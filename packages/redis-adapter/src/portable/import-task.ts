import type { TaskError } from '@agent-orchestrator/core';
import { fieldText, isFinalState, statusOf } from '@agent-orchestrator/core/protocol';
import {
  type CallRecord,
  type JournalRecord,
  type StepCallRecord,
  type StepRecord,
  reservedTokens,
  submittedPartOf,
  type TaskRecord,
} from '@agent-orchestrator/core/storage';
import type { StorageLimits } from '../scripts/script-runner.js';
import { errorText, headerOf, tailOf } from '../tasks/task-codec.js';
import { bytesOf, type Command, inParts, type Timers } from './commands.js';
import {
  refuse,
  type TenantKeys,
  type WholeCall,
  type WholeState,
  type WholeStep,
} from './stored-records.js';

/** As in the script `state`: longer outcomes are stored apart, and a header has room for so much. */
const LARGE_OUTCOME = 4_096;
const HEADER_BYTES = 4_096;
/** As in the script `ready`. */
const PRIORITY_STEP = 1e14;

export interface ImportContext {
  readonly keys: TenantKeys;
  readonly timers: Timers;
  readonly limits: StorageLimits;
  readonly now: number;
  readonly newToken: () => string;
}

/** A task and its journal as commands. The task itself comes behind its journal, whose size is part of its state. */
export class TaskImport {
  #bytes = 0;
  #mail = 0;
  #steps = 0;
  #hasJournal = false;
  /** Change -> the key of the step that it was. */
  readonly #changes = new Map<number, string>();
  readonly #isEnded: boolean;
  readonly #key: string;
  /** Length of header and payload, in bytes. */
  readonly recordBytes: number;
  readonly #record: string;

  constructor(
    private readonly context: ImportContext,
    readonly task: TaskRecord,
  ) {
    this.#isEnded = isFinalState(task.state);
    this.#hasJournal = task.journal_rev > 0;
    this.#key = `${context.keys.prefix}${task.task_id}`;
    const { batch_id: batchId, redriven_from: redrivenFrom } = task;
    const tail = tailOf(
      headerOf(
        { ...submittedPartOf(task), payload: null },
        {
          parallel: task.parallel === true,
          ...(batchId !== undefined && { batchId }),
          ...(redrivenFrom !== undefined && { redrivenFrom }),
        },
      ),
    );
    const header = `{"at":${task.created_at},"sequence":${task.sequence},${tail}`;
    if (bytesOf(header) >= HEADER_BYTES)
      refuse(`metadata of task "${task.task_id}" that fits ${HEADER_BYTES} bytes with its ids`, 'more');
    this.#record = `${header}\n${fieldText(task, 'payload')}`;
    this.recordBytes = bytesOf(this.#record);
  }

  *journal({ steps = [], dropped = [], mailbox = [], signals = [] }: JournalRecord): Generator<Command> {
    this.#hasJournal ||= steps.length > 0 || dropped.length > 0;
    for (const step of steps) yield* this.#step(step);
    for (const call of dropped) {
      const text = JSON.stringify({ ...wholeCall(call), service: call.service, operation: call.operation });
      yield ['HSET', `${this.#key}:dropped`, call.call_id, text];
      yield* this.#find(call, call.step_key);
    }
    for (const mail of mailbox) {
      const payload = fieldText(mail, 'payload');
      this.#mail += bytesOf(payload) + '{"ok":true,"value":}'.length;
      yield ['RPUSH', `${this.#key}:mailbox`, `${mail.name}\n${payload}`];
    }
    const ids = signals.flatMap(({ id, fingerprint }) =>
      fingerprint === undefined ? [id] : [id, `${id} ${fingerprint}`],
    );
    yield* inParts('SADD', `${this.#key}:signals`, ids);
  }

  *#step(record: StepRecord): Generator<Command> {
    const { key, rev, outcome, calls = [] } = record;
    this.#steps += 1;
    if (rev > 0) {
      if (this.#changes.has(rev))
        refuse(`one step for each change of task "${this.task.task_id}"`, `two for ${rev}`);
      this.#changes.set(rev, key);
    }
    yield ['HSET', `${this.#key}:steps`, key, JSON.stringify(wholeStep(record, this.#steps))];
    if (outcome) {
      const text = outcome.ok
        ? `{"ok":true,"value":${fieldText(outcome, 'value')}}`
        : JSON.stringify(outcome);
      this.#bytes += bytesOf(text);
      yield ['HSET', `${this.#key}:outcomes`, key, text];
    }
    for (const call of calls) {
      yield* this.#find(call, key);
      if (call.state === 'sending' && !this.#isEnded)
        yield ['HINCRBY', `${this.context.keys.prefix}@sending`, call.service, 1];
    }
    const last = calls.at(-1);
    const at = record.due_at ?? record.retry_at ?? (last?.state === 'waiting' ? last.silent_at : undefined);
    if (!outcome && !this.#isEnded && at !== undefined)
      yield this.context.timers.schedule('step', at, `${this.task.task_id}\n${key}`);
  }

  /** What finds a call. */
  *#find({ call_id: id, service, job_id: job, named }: CallRecord, step: string): Generator<Command> {
    const { prefix } = this.context.keys;
    yield ['HSET', `${prefix}@calls`, id, `${this.task.task_id} ${service} ${step}`];
    if (named && job !== undefined) yield ['HSET', `${prefix}@jobs`, `${service}\n${job}`, id];
  }

  /** The task itself, its indexes and its timers. */
  *end(): Generator<Command> {
    const { task, context } = this;
    const { keys, timers } = context;
    const { prefix } = keys;
    yield ['SET', this.#key, this.#record];
    yield ['RPUSH', `${prefix}@created`, `${task.sequence} 0 ${task.task_id}`];
    yield ['HINCRBY', keys.meta, statusOf(task.state), 1];
    yield* this.#changesOf(task.journal_rev);
    let stored = this.recordBytes + this.#bytes + this.#mail;
    if (this.#isEnded) {
      const outcome = this.#outcome();
      stored += bytesOf(outcome);
      const isLarge = bytesOf(outcome) > LARGE_OUTCOME;
      if (isLarge) yield ['SET', `${this.#key}:result`, outcome];
      yield ['HSET', `${prefix}@done`, task.task_id, `${this.#state()}\n${isLarge ? '@' : outcome}`];
      const { retentionMs, deadLetterRetentionMs } = context.limits;
      const keepMs = task.state === 'failed' ? deadLetterRetentionMs : retentionMs;
      yield timers.schedule('retention', (task.finished_at ?? context.now) + keepMs, task.task_id);
    } else {
      yield* this.#live();
    }
    yield ['HINCRBY', keys.meta, 'stored', stored];
    const reserved = reservedTokens(task);
    if (reserved > 0) yield ['HINCRBYFLOAT', keys.meta, 'reserved', reserved];
  }

  *#changesOf(rev: number): Generator<Command> {
    if (rev === 0) return;
    const changes = Array.from({ length: rev }, (_, at) => this.#changes.get(at + 1) ?? '');
    yield* inParts('RPUSH', `${this.#key}:changes`, changes);
  }

  *#live(): Generator<Command> {
    const { task, context } = this;
    const { keys, timers, now } = context;
    const { task_id: id, state } = task;
    if (!this.#isFast()) yield ['HSET', `${keys.prefix}@live`, id, this.#state()];
    yield timers.schedule('deadline', Math.max(task.created_at, task.run_at ?? 0) + task.timeout_ms, id);
    if (state !== 'tracked') yield* this.#groups();
    if (task.due_at !== undefined) yield timers.schedule('start', task.due_at, id);
    if (task.queue_priority !== undefined)
      yield ['ZADD', `${keys.prefix}@ready`, (9 - task.queue_priority) * PRIORITY_STEP + task.sequence, id];
    if (state !== 'leased') return;
    yield ['HINCRBY', keys.meta, 'running', 1];
    yield timers.schedule('leases', now, id);
  }

  *#groups(): Generator<Command> {
    const { keys } = this.context;
    const { task_id: id, session_id, batch_id, sequence, priority, parallel, holds, waits = {} } = this.task;
    if (session_id !== undefined) {
      const session = keys.session(session_id);
      yield ['ZADD', `${session}:live`, sequence, id];
      if (holds && !parallel) yield ['HSET', session, 'holder', id];
      if (waits.session !== undefined) {
        yield ['ZADD', `${session}:queue`, waits.session, id];
        yield ['HINCRBY', session, `w${priority}`, 1];
      }
    }
    if (batch_id === undefined) return;
    const batch = keys.batch(batch_id);
    if (holds) yield ['SADD', `${batch}:holders`, id];
    if (waits.batch !== undefined) yield ['ZADD', `${batch}:queue`, waits.batch, id];
  }

  /** Whether it was only submitted: such a task has no state. */
  #isFast(): boolean {
    const { state, session_id, batch_id, since, updated_at, created_at, queue_priority, priority } =
      this.task;
    const {
      attempt,
      rev,
      failures,
      lost_leases,
      tokens,
      seed,
      version,
      started_at,
      progress,
      inherited,
      budget,
    } = this.task;
    return (
      state === 'ready' &&
      session_id === undefined &&
      batch_id === undefined &&
      since === created_at &&
      updated_at === created_at &&
      queue_priority === priority &&
      rev === 1 &&
      attempt + failures + lost_leases + tokens + inherited + this.#mail === 0 &&
      !this.#hasJournal &&
      this.task.journal_rev === 0 &&
      [seed, version, started_at, progress, budget].every((value) => value === undefined)
    );
  }

  /** JSON. */
  #outcome(): string {
    const { task } = this;
    const text = task.state === 'completed' ? fieldText(task, 'result') : errorText(task.error as TaskError);
    return task.diagnostic === undefined ? text : `${text}\n${JSON.stringify(task.diagnostic)}`;
  }

  /** JSON. */
  #state(): string {
    const { task, context } = this;
    const { lease, drawn = 0 } = task;
    const reserved = reservedTokens(task);
    const state: WholeState = {
      state: task.state,
      since: task.since,
      updated: task.updated_at,
      attempt: task.attempt,
      rev: task.rev,
      ...defined({
        ended: task.finished_at,
        began: task.started_at,
        due: task.due_at,
        version: task.version,
        cancel: task.cancel_reason,
        progress: task.progress && JSON.stringify(task.progress),
        seed: task.seed,
        redriven: task.redriven_to,
        queue_priority: task.queue_priority,
      }),
      ...positive({
        replayed_to: task.replayed_to,
        inherited: task.inherited,
        lost: task.lost_leases,
        failures: task.failures,
        bytes: this.#bytes,
        mail: this.#mail,
        step_count: this.#steps,
      }),
      ...(task.tokens > 0 && { tokens: String(task.tokens) }),
      ...(drawn > 0 && { drawn: String(drawn) }),
      ...(reserved > 0 && { reserved: String(reserved) }),
      ...(this.#hasJournal && { journal: true }),
      ...(lease && {
        token: context.newToken(),
        worker: lease.worker_id,
        expires: context.now,
        resumes: lease.resumes,
        ...(lease.prefetched && { prefetched: true }),
      }),
    };
    return JSON.stringify(state);
  }
}

function defined<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> };
}

function positive<T extends Readonly<Record<string, number>>>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value > 0)) as Partial<T>;
}

function wholeStep(record: StepRecord, at: number): WholeStep {
  const { key, step: kind, name, rev, max_tries: tries, era, outcome, calls = [] } = record;
  const last = calls.at(-1);
  return {
    key,
    at,
    kind,
    name,
    rev,
    tries,
    ...(era !== 0 && { era }),
    ...defined({
      signal: record.signal,
      due: record.due_at,
      retry: record.retry_at,
      ended: record.ended_at,
      service: last?.service,
      operation: last?.operation,
      silence: last?.silence_ms,
    }),
    ...(outcome && !outcome.ok && { failed: true }),
    ...(calls.length > 0 && {
      calls: calls.map((call: StepCallRecord) => ({ ...wholeCall(call), delay: call.retry_delay_ms })),
    }),
  };
}

function wholeCall(record: CallRecord): WholeCall {
  const { call_id: id, state, last_seq: seq } = record;
  return {
    id,
    state,
    ...defined({
      job: record.job_id,
      ok: record.ok,
      counted: record.counted,
      print: record.fingerprint,
      silent: record.silent_at,
      seq: seq === undefined ? undefined : String(seq),
      seen_messages: record.seen_messages,
    }),
  };
}
