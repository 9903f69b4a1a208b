import {
  cursorSchema,
  type Gap,
  parseCursor,
  type Snapshot,
  type TaskEvent,
  type Topic,
  topicSchema,
  isFinalEvent,
} from '../protocol/events.js';
import { isFinal, type Task } from '../protocol/task.js';
import { EVENTS_PER_READ } from '../protocol/pages.js';
import { validate } from '../protocol/validation.js';
import { DEFAULTS } from '../protocol/settings.js';
import type { SessionManager } from '../sessions/session-manager.js';
import { BoundedPage } from '../storage/bounded-page.js';
import type { LogGap } from '../storage/event-log.js';
import type { Storage } from '../storage/storage.js';
import type { GlobalTaskRegistry } from '../tasks/global-task-registry.js';

/** Maximum of events scanned for a session's tasks that ended since a cursor. */
const MAX_LOOK_BACK = 10_000;

/** Options of `follow`: the topic, the start cursor, and the signal that ends it. */
export type FollowOptions = Topic & { readonly after?: string; readonly signal?: AbortSignal };

/** Live updates of one tenant: snapshots, and events after a cursor, once each and in order. */
export class TenantEvents {
  constructor(
    private readonly tenantId: string,
    private readonly ports: {
      readonly storage: Storage;
      readonly registry: GlobalTaskRegistry;
      readonly sessions: SessionManager;
    },
  ) {}

  /**
   * State of a topic as of the returned `cursor`. A session's includes its live tasks, and those that ended since `after`.
   * @throws {OrchestratorError} `not_found`
   */
  async snapshot(
    topic: Topic,
    after?: string,
  ): Promise<{ readonly snapshot: Snapshot; readonly cursor: string }> {
    const { tenantId } = this;
    const checked = validate(topicSchema, topic, 'topic');
    if ('task_id' in checked) {
      const { task, cursor } = await this.ports.registry.locate({ tenantId, taskId: checked.task_id });
      return { snapshot: { task }, cursor };
    }
    if ('session_id' in checked) {
      const { session_id: sessionId } = checked;
      const { session, tasks, cursor, more } = await this.ports.sessions.get({ tenantId, sessionId });
      const ended = await this.#endedSince(after, sessionId);
      const all = { session, tasks: [...tasks, ...ended.tasks] };
      return { snapshot: { ...all, ...((more || ended.more) && { more: true }) }, cursor };
    }
    const { counts, cursor } = await this.ports.storage.tasks.counts({ tenantId });
    return { snapshot: { counts }, cursor };
  }

  /** Tasks of a session that ended since `after`, one page. */
  async #endedSince(
    after: string | undefined,
    sessionId: string,
  ): Promise<{ readonly tasks: readonly Task[]; readonly more?: true }> {
    const { tenantId } = this;
    const page = new BoundedPage<Task>(DEFAULTS.sessionTasks, DEFAULTS.pageBytes);
    const { items: tasks } = page;
    let from = after;
    for (let left = MAX_LOOK_BACK; from !== undefined && left > 0;) {
      const { events, cursor } = await this.ports.storage.events.read({
        tenantId,
        after: from,
        limit: EVENTS_PER_READ,
      });
      if (events.length === 0) return { tasks };
      for (const event of events) {
        if (event.session_id !== sessionId || event.task_id === undefined || !isFinalEvent(event.event))
          continue;
        const found = await this.ports.storage.tasks.get({ tenantId, taskId: event.task_id });
        if (found && !page.take(found.task)) return { tasks, more: true };
      }
      left -= events.length;
      from = cursor;
    }
    return { tasks };
  }

  /**
   * Each event of a topic once, in order. Without `after`: from a task's first event, other topics from now on. Ends after a
   * task's final event, or when `signal` fires.
   */
  async *follow({ after: from, signal: ends, ...of }: FollowOptions): AsyncGenerator<TaskEvent | Gap> {
    const { tenantId } = this;
    const topic = validate(topicSchema, of, 'topic');
    const given = from === undefined ? undefined : validate(cursorSchema, from, 'after');
    const { after, until } = await this.#start(topic, given);
    if (until !== undefined) {
      yield* this.#retained(topic, after, until, ends);
      return;
    }
    const over = new AbortController();
    const signal = ends ? AbortSignal.any([ends, over.signal]) : over.signal;
    try {
      for await (const event of this.ports.storage.events.follow({ tenantId, after, signal })) {
        if (event.event === 'gap') {
          const gap = await this.#gap(topic, event);
          yield gap;
          if ('task' in gap.snapshot && isFinal(gap.snapshot.task.status)) return;
        } else if (concerns(event, topic)) {
          yield event;
          if ('task_id' in topic && isFinalEvent(event.event)) return;
        }
      }
    } finally {
      over.abort();
    }
  }

  /** Retained events of a task that has ended, all before `until`. */
  async *#retained(
    topic: Topic,
    from: string,
    until: string,
    ends: AbortSignal | undefined,
  ): AsyncGenerator<TaskEvent | Gap> {
    const { tenantId } = this;
    const last = parseCursor(until)?.seq ?? 0;
    let after = from;
    while (after !== until) {
      if (ends?.aborted) return;
      const { events, cursor, gap } = await this.ports.storage.events.read({
        tenantId,
        after,
        limit: EVENTS_PER_READ,
      });
      if (gap) {
        yield await this.#gap(topic, gap);
        return;
      }
      for (const event of events) {
        if (!concerns(event, topic)) continue;
        yield event;
        if (isFinalEvent(event.event)) return;
      }
      if (events.length === 0 || (parseCursor(cursor)?.seq ?? last) >= last) return;
      after = cursor;
    }
  }

  /** The tenant's whole event log, for servers that multiplex it to many subscribers. */
  log(options: { readonly after: string; readonly signal: AbortSignal }): AsyncIterable<TaskEvent | LogGap> {
    return this.ports.storage.events.follow({ tenantId: this.tenantId, ...options });
  }

  /** Start position; for a task that has ended, also the log's position at the time of the read. */
  async #start(
    topic: Topic,
    after: string | undefined,
  ): Promise<{ readonly after: string; readonly until?: string }> {
    const { tenantId } = this;
    if (!('task_id' in topic)) {
      if ('session_id' in topic) await this.ports.sessions.get({ tenantId, sessionId: topic.session_id });
      return { after: after ?? (await this.ports.storage.events.head({ tenantId })) };
    }
    const { task, cursor, startCursor } = await this.ports.registry.locate({
      tenantId,
      taskId: topic.task_id,
    });
    return { after: after ?? startCursor, ...(isFinal(task.status) && { until: cursor }) };
  }

  async #gap(topic: Topic, gap: LogGap): Promise<Gap> {
    const { snapshot, cursor } = await this.snapshot(topic, gap.to);
    return { event: 'gap', from: gap.from, to: cursor, snapshot };
  }
}

/** Whether an event belongs to a topic. */
export function concerns(event: TaskEvent, topic: Topic): boolean {
  if ('task_id' in topic) return event.task_id === topic.task_id;
  return 'tenant' in topic || event.session_id === topic.session_id;
}
