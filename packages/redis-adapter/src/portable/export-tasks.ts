import type { TaskError } from '@agent-orchestrator/core';
import { addFromText, isFinalState } from '@agent-orchestrator/core/protocol';
import type { PortableRecord, TaskRecord } from '@agent-orchestrator/core/storage';
import type { Cluster, Redis } from 'ioredis';
import { answerOf } from '../server/storage-errors.js';
import { stateOf, type TaskHeader } from '../tasks/task-codec.js';
import { journalRecords } from './export-journal.js';
import { readRecord, type TenantKeys, twoParts, type WholeState } from './stored-records.js';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Tasks read at once: each may have a payload and a result of 1 MiB. */
const TASKS_AT_ONCE = 16;
const CHUNKS_AT_ONCE = 500;
/** Stands for an outcome that is stored apart. */
const APART = '\n@';

interface Listed {
  readonly taskId: string;
  readonly sequence: number;
}

/** A task as it is stored. */
interface Found extends Listed {
  readonly header: TaskHeader;
  readonly payload: string;
  readonly state: WholeState;
  /** JSON. */
  readonly outcome: string;
  readonly diagnostic: string;
}

/** Tasks of a tenant with their journals, in the order of submission. */
export class TaskExport {
  readonly #client: Redis | Cluster;

  constructor(
    client: Redis | Cluster,
    private readonly tenantId: string,
    private readonly keys: TenantKeys,
  ) {
    this.#client = client;
  }

  async *records(): AsyncGenerator<PortableRecord> {
    let page: Listed[] = [];
    for await (const listed of this.#listed()) {
      page.push(listed);
      if (page.length < TASKS_AT_ONCE) continue;
      yield* this.#page(page);
      page = [];
    }
    yield* this.#page(page);
  }

  /** Ids in order, also of tasks that are not kept any more, and of ids that were used again. */
  async *#listed(): AsyncGenerator<Listed> {
    const { prefix } = this.keys;
    for (let from = 0; ; from += CHUNKS_AT_ONCE) {
      const some = await answerOf(
        this.#client.zrange(`${prefix}@old`, from, `${from + CHUNKS_AT_ONCE - 1}`, 'WITHSCORES'),
      );
      for (let at = 0; at < some.length; at += 2)
        yield { taskId: some[at] as string, sequence: Number(some[at + 1]) };
      if (some.length < 2 * CHUNKS_AT_ONCE) break;
    }
    for (let from = 0; ; from += CHUNKS_AT_ONCE) {
      const chunks = await answerOf(
        this.#client.lrange(`${prefix}@created`, from, from + CHUNKS_AT_ONCE - 1),
      );
      for (const chunk of chunks) {
        const [first, , ...ids] = chunk.split(' ');
        for (const [at, taskId] of ids.entries()) yield { taskId, sequence: Number(first) + at };
      }
      if (chunks.length < CHUNKS_AT_ONCE) return;
    }
  }

  async *#page(page: readonly Listed[]): AsyncGenerator<PortableRecord> {
    const found = await Promise.all(page.map((listed) => this.#read(listed)));
    for (const task of found) {
      if (!task) continue;
      const journal = await journalRecords(this.#client, this.tenantId, this.keys, task);
      yield await this.#record(task, journal.rev);
      yield* journal.records;
    }
  }

  async #read({ taskId, sequence }: Listed): Promise<Found | undefined> {
    const key = `${this.keys.prefix}${taskId}`;
    const [record, live, done] = await answerOf(
      Promise.all([
        this.#client.get(key),
        this.#client.hget(`${this.keys.prefix}@live`, taskId),
        this.#client.hget(`${this.keys.prefix}@done`, taskId),
      ]),
    );
    if (record === null) return undefined;
    const { header, payload } = readRecord(record);
    // A reused id: the task is listed at its last creation.
    if (header.sequence !== sequence) return undefined;
    const text = live ?? done ?? '';
    const [line, end] = twoParts(text);
    const whole = text.endsWith(APART)
      ? ((await answerOf(this.#client.get(`${key}:result`))) ?? 'null')
      : end;
    const [outcome, diagnostic] = twoParts(whole);
    return { taskId, sequence, header, payload, state: wholeState(line, header.at), outcome, diagnostic };
  }

  async #record(task: Found, journalRev: number): Promise<TaskRecord> {
    const { header, state, outcome, diagnostic } = task;
    const record: Writable<TaskRecord> = {
      kind: 'task',
      tenant_id: this.tenantId,
      task_id: task.taskId,
      sequence: task.sequence,
      type: header.type,
      priority: header.priority,
      created_at: header.at,
      timeout_ms: header.timeout,
      max_attempts: header.attempts,
      metadata: header.metadata,
      ...originOf(header, state, task.taskId),
      state: state.state,
      since: state.since ?? state.ended ?? header.at,
      updated_at: state.ended ?? state.updated ?? state.since ?? header.at,
      ...runOf(header, state),
      attempt: state.attempt,
      rev: state.rev,
      lost_leases: state.lost ?? 0,
      failures: state.failures ?? 0,
      replayed_to: state.replayed_to ?? 0,
      inherited: state.inherited ?? 0,
      tokens: Number(state.tokens ?? 0),
      ...(header.budget !== undefined && { budget: header.budget, drawn: Number(state.drawn ?? 0) }),
      journal_rev: journalRev,
      ...(await this.#groupsOf(task)),
      payload: null,
    };
    addFromText(record, 'payload', task.payload);
    if (!isFinalState(state.state)) return record;
    if (state.state === 'completed') addFromText(record, 'result', outcome);
    else record.error = JSON.parse(outcome) as TaskError;
    if (diagnostic !== '')
      record.diagnostic = JSON.parse(diagnostic) as NonNullable<TaskRecord['diagnostic']>;
    return record;
  }

  /** Its slots or its places in the groups of its session and batch. */
  async #groupsOf({ taskId, header, state }: Found) {
    if (isFinalState(state.state) || state.state === 'tracked') return {};
    const session = header.session_id === undefined || header.parallel ? undefined : header.session_id;
    const inSession = session === undefined ? undefined : this.keys.session(session);
    const inBatch = header.batch_id === undefined ? undefined : this.keys.batch(header.batch_id);
    const parallel = header.session_id !== undefined && header.parallel ? { parallel: true as const } : {};
    if (state.state === 'waiting') {
      const [ofSession, ofBatch] = await answerOf(
        Promise.all([
          inSession === undefined ? null : this.#client.zscore(`${inSession}:queue`, taskId),
          inBatch === undefined ? null : this.#client.zscore(`${inBatch}:queue`, taskId),
        ]),
      );
      return {
        ...parallel,
        waits: {
          ...(ofSession !== null && { session: Number(ofSession) }),
          ...(ofBatch !== null && { batch: Number(ofBatch) }),
        },
      };
    }
    const [holder, isMember] = await answerOf(
      Promise.all([
        inSession === undefined ? null : this.#client.hget(inSession, 'holder'),
        inBatch === undefined ? 0 : this.#client.sismember(`${inBatch}:holders`, taskId),
      ]),
    );
    return { ...parallel, ...((holder === taskId || isMember === 1) && { holds: true as const }) };
  }
}

function wholeState(line: string, createdAt: number): WholeState {
  if (line !== '') return stateOf(line);
  return { state: 'ready', since: createdAt, updated: createdAt, attempt: 0, rev: 1 };
}

function originOf(header: TaskHeader, { seed, redriven }: WholeState, taskId: string) {
  return {
    ...(header.session_id !== undefined && { session_id: header.session_id }),
    ...(header.agent_id !== undefined && { agent_id: header.agent_id }),
    ...(header.parent_task_id !== undefined && { parent_task_id: header.parent_task_id }),
    ...(header.requested_by !== undefined && { requested_by: header.requested_by }),
    ...(header.run_at !== undefined && { run_at: header.run_at }),
    ...(header.batch_id !== undefined && { batch_id: header.batch_id }),
    ...(header.redriven_from !== undefined && { redriven_from: header.redriven_from }),
    ...(redriven !== undefined && { redriven_to: redriven }),
    ...(seed !== undefined && seed !== taskId && { seed }),
  };
}

function runOf(header: TaskHeader, stored: WholeState) {
  const { state, began, ended, due, version, progress, cancel, worker, prefetched, resumes } = stored;
  return {
    ...(began !== undefined && { started_at: began }),
    ...(ended !== undefined && { finished_at: ended }),
    ...(state === 'scheduled' && { due_at: due ?? header.at }),
    ...(version !== undefined && { version }),
    ...(progress !== undefined && {
      progress: JSON.parse(progress) as { percent?: number; message?: string },
    }),
    ...(state === 'leased' && cancel !== undefined && { cancel_reason: cancel }),
    ...(state === 'leased' && {
      lease: { worker_id: worker ?? 'unknown', prefetched: prefetched === true, resumes: resumes === true },
    }),
    ...((state === 'ready' || state === 'woken') && {
      queue_priority: stored.queue_priority ?? header.priority,
    }),
  };
}
