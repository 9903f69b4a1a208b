import { isFinalEvent, type JsonObject, type JsonValue, type TaskEvent } from '@agent-orchestrator/core';
import type { EventRecord } from '@agent-orchestrator/core/storage';
import { addFromText, EVENTS_PER_READ } from '@agent-orchestrator/core/protocol';
import {
  BoundedPage,
  type EventLog,
  type LogGap,
  type TaskEnd,
  type FollowEventsParams,
  type LogHeadParams,
  type ReadEventsParams,
  type ReadEventsResult,
} from '@agent-orchestrator/core/storage';
import { EVENT_OF_LETTER } from '../generated/event-letters.js';
import { cursorOf, seqAfter } from '../scripts/epoch.js';
import { type Entry, LogFollower, type Page } from './log-follower.js';
import type { RecentSubmissions } from '../tasks/recent-submissions.js';
import type { RedisState } from '../scripts/tenant-steps.js';

/** Maximum of entries read in one step; an entry has the events of one step of the storage. */
const MAX_ENTRIES = 10_000;
/** The log's channel is published to only while a follower has renewed its interest in time. */
const FOLLOWS_MS = 60_000;

/** An entry with this text may refer to a result that is stored with its task. */
const REFERS = ',null,1]';
const NONE: ReadonlyMap<string, string> = new Map();

/** A result that is stored with its task, as JSON: parsed on first use. */
class LargeResult {
  constructor(readonly text: string) {}
}

/**
 * Letter, task, its rev, session, data; then the reporting service and its metadata, or 1 for a result that
 * is stored with its task.
 */
type StoredEvent = readonly [
  string,
  string | null,
  number | null,
  string | null,
  JsonValue | LargeResult,
  (string | 1)?,
  JsonObject?,
];

export class RedisEventLog implements EventLog {
  constructor(
    private readonly state: RedisState,
    private readonly recent: RecentSubmissions,
  ) {}

  async head({ tenantId }: LogHeadParams): Promise<string> {
    const { seq, epoch } = await this.#fetch(tenantId, -1, 0, NO_FOLLOWER);
    return cursorOf(epoch, seq);
  }

  async read({ tenantId, after, limit }: ReadEventsParams): Promise<ReadEventsResult> {
    const view = this.#viewIn(tenantId);
    const read = await this.#read(tenantId, after, limit, NO_FOLLOWER, view);
    const page = new BoundedPage<TaskEvent>(limit, this.state.parts.limits.pageBytes);
    for (const event of read.events) if (!page.take(event)) break;
    const isWhole = page.items.length === read.events.length;
    const cursor = isWhole ? cursorOf(read.epoch, read.seq) : (page.items.at(-1) as TaskEvent).cursor;
    return { events: page.items, cursor, ...(read.gap && { gap: read.gap }) };
  }

  follow({ tenantId, after, signal }: FollowEventsParams): AsyncGenerator<TaskEvent | LogGap> {
    const view = this.#viewIn(tenantId);
    const follower = new LogFollower<TaskEvent>({
      ...this.#common,
      wakeups: this.state.parts.wakeups,
      channel: this.state.keys.eventsChannel(tenantId),
      read: (from, mark) =>
        this.#read(tenantId, from, EVENTS_PER_READ, { forMs: FOLLOWS_MS, mark, process: '' }, view),
      entryOf: (wakeup) => entryOf(wakeup, view),
    });
    return follower.follow(after, signal);
  }

  followCompletions({ tenantId, after, signal }: FollowEventsParams): AsyncGenerator<TaskEnd | LogGap> {
    const { completions } = this.state;
    const view = this.#completionIn(tenantId);
    const follower = new LogFollower<TaskEnd>({
      ...this.#common,
      wakeups: completions,
      channel: tenantId,
      isUrgent: true,
      read: async (from, mark) => {
        const { process } = completions;
        const page = await this.#read(
          tenantId,
          from,
          EVENTS_PER_READ,
          { forMs: FOLLOWS_MS, mark, process },
          view,
        );
        return { ...page, events: page.events.flat() };
      },
      // Only completions are published here; a large result has to be read.
      entryOf: (wakeup) => {
        const { id, epochStart, json } = partsOf(wakeup);
        const found = unpack(id, json, NONE);
        const after_ = (_: number, epoch: string | null) => found.flatMap((event) => view(epoch, event));
        return { epochStart, last: found.at(-1)?.seq ?? 0, count: Number.POSITIVE_INFINITY, after: after_ };
      },
    });
    return follower.follow(after, signal);
  }

  get #common() {
    const { timers, topology } = this.state.parts;
    const { pollMs, messagesCarryEntries } = topology;
    return { cursorOf, pollMs, timers, takesEntries: messagesCarryEntries };
  }

  /** A completion, or nothing. */
  #completionIn(tenantId: string) {
    return (epoch: string | null, { at, seq, event, version }: FetchedEvent): readonly TaskEnd[] => {
      const [letter, taskId, , , result] = event;
      if (!isFinalEvent(EVENT_OF_LETTER[letter] ?? '') || taskId === null) return [];
      const end = { event: 'ended', task_id: taskId, cursor: cursorOf(epoch, seq) } as const;
      const isFast = version !== undefined && !(result instanceof LargeResult);
      const task = isFast && this.recent.ended(tenantId, taskId, { version, at, result });
      return [task ? { ...end, task } : end];
    };
  }

  async #read<E>(
    tenantId: string,
    after: string,
    limit: number,
    follows: Follows,
    view: View<E>,
  ): Promise<Page<E>> {
    const requested = Number(after.split(':')[1] ?? -1);
    const page = await this.#fetch(
      tenantId,
      Number.isSafeInteger(requested) ? requested : -1,
      limit,
      follows,
    );
    const from = seqAfter(after, page.epoch, page.seq);
    if (
      from !== undefined &&
      (page.events[0]?.seq ?? from + 1) === from + 1 &&
      (page.events.length > 0 || from === page.seq)
    )
      return pageOf(page, from, view);
    // The log cannot resume at the cursor: its oldest kept events come after the gap.
    const kept = await this.#fetch(tenantId, 0, limit, follows);
    const first = (kept.events[0]?.seq ?? kept.seq + 1) - 1;
    const gap: LogGap = { event: 'gap', from: after, to: cursorOf(kept.epoch, first) };
    return { ...pageOf(kept, first, view), gap };
  }

  #viewIn(tenantId: string) {
    return (epoch: string | null, { at, seq, event }: FetchedEvent): TaskEvent => {
      const [letter, taskId, rev, sessionId, data, from, metadata] = event;
      const view: { -readonly [K in keyof EventRecord]: EventRecord[K] } = {
        event: EVENT_OF_LETTER[letter] ?? 'task_status_update',
        service: typeof from === 'string' ? from : 'orchestrator',
        ...(taskId !== null && { task_id: taskId, global_task_id: taskId }),
        tenant_id: tenantId,
        ...(sessionId !== null && { session_id: sessionId }),
        timestamp: new Date(at).toISOString(),
        data: null,
        metadata: metadata ?? {},
        ...(rev !== null && { rev }),
        cursor: cursorOf(epoch, seq),
      };
      if (data instanceof LargeResult) addFromText(view, 'data', data.text);
      else view.data = data;
      return view as TaskEvent;
    };
  }

  async #fetch(tenantId: string, after: number, limit: number, follows: Follows): Promise<Fetched> {
    const max = Math.min(limit, MAX_ENTRIES);
    const { forMs, mark, process } = follows;
    const { pageBytes } = this.state.parts.limits;
    const reply = await this.state.run(tenantId, 'readEvents', after, max, forMs, mark, process, pageBytes);
    const [seq, entries, results, epoch] = reply as [
      number,
      [string, [string, string]][],
      string[],
      string | null,
    ];
    this.state.epochs.learn(tenantId, epoch);
    const large = new Map<string, string>();
    for (let at = 0; at < results.length; at += 2)
      large.set(results[at] as string, results[at + 1] as string);
    const events = entries.flatMap(([id, [, json]]) => unpack(id, json, large));
    const wanted = events.filter((event) => event.seq > after);
    return { seq, epoch, events: wanted.slice(0, limit) };
  }
}

/** What a read registers for the events after it. */
interface Follows {
  readonly forMs: number;
  /** Published in the same step on the follower's channel, or ''. */
  readonly mark: string;
  /** The process of a completions-only follower, or ''. */
  readonly process: string;
}

const NO_FOLLOWER: Follows = { forMs: 0, mark: '', process: '' };

/** Converts a stored event for its reader. */
type View<E> = (epoch: string | null, event: FetchedEvent) => E;

function pageOf<E>({ epoch, events, seq: head }: Fetched, from: number, view: View<E>): Page<E> {
  return { events: events.map((event) => view(epoch, event)), epoch, seq: events.at(-1)?.seq ?? from, head };
}

/** A published entry: its id, the epoch of its log, and itself. */
function partsOf(wakeup: string): {
  readonly id: string;
  readonly epochStart: string;
  readonly json: string;
} {
  const first = wakeup.indexOf(' ');
  const second = wakeup.indexOf(' ', first + 1);
  return {
    id: wakeup.slice(0, first),
    epochStart: wakeup.slice(first + 1, second),
    json: wakeup.slice(second + 1),
  };
}

function entryOf(wakeup: string, view: View<TaskEvent>): Entry<TaskEvent> {
  const { id, epochStart, json } = partsOf(wakeup);
  const found = unpack(id, json, NONE);
  return {
    epochStart,
    last: found.at(-1)?.seq ?? 0,
    count: found.length,
    after: (seq, epoch) =>
      json.includes(REFERS)
        ? undefined
        : found.filter((event) => event.seq > seq).map((event) => view(epoch, event)),
  };
}

interface FetchedEvent {
  readonly at: number;
  readonly seq: number;
  readonly event: StoredEvent;
  /** The version that a fast task was completed in: together with its result all that is new of it. */
  readonly version: number | undefined;
}

interface Fetched {
  readonly seq: number;
  readonly epoch: string | null;
  readonly events: readonly FetchedEvent[];
}

/** An event of an entry, or several of fast tasks; see the script `events`. */
type Element =
  | readonly ['C', JsonValue, string]
  | readonly ['S', string]
  | readonly ['D', number, ...(readonly JsonValue[])]
  | StoredEvent;

const isCreated = (element: Element): element is readonly ['C', JsonValue, string] => element[0] === 'C';
const isStarted = (element: Element): element is readonly ['S', string] => element[0] === 'S';

function eventsOf(element: Element): readonly StoredEvent[] {
  if (isCreated(element)) {
    const [, data, ids] = element;
    return ids.split(' ').map((id) => ['c', id, 1, null, data]);
  }
  if (isStarted(element)) return element[1].split(' ').map((id) => ['s', id, 2, null, { attempt: 1 }]);
  if (element[0] !== 'D') return [element as StoredEvent];
  const events: StoredEvent[] = [];
  for (let at = 2; at < element.length; at += 2)
    events.push(['d', element[at] as string, 3, null, element[at + 1] as JsonValue]);
  return events;
}

/** The events of an entry, whose id is the `seq` of the last. */
function unpack(id: string, json: string, large: ReadonlyMap<string, string>): FetchedEvent[] {
  const [at, ...elements] = JSON.parse(json) as [number, ...Element[]];
  const events = elements.flatMap((element) => {
    const version = element[0] === 'D' ? (element[1] as number) : undefined;
    return eventsOf(element).map((event) => ({ event, version }));
  });
  const last = Number.parseInt(id, 10);
  return events.map(({ event, version }, index) => {
    const [letter, taskId, rev, sessionId, , more] = event;
    const seq = last - (events.length - 1 - index);
    if (more !== 1) return { at, seq, event, version };
    const result = new LargeResult(large.get(taskId ?? '') ?? 'null');
    return { at, seq, event: [letter, taskId, rev, sessionId, result], version };
  });
}
