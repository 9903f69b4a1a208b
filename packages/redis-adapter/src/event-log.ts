import type { EventLog, EventName, JsonObject, JsonValue, LogGap, TaskEvent } from '@agent-orchestrator/core';
import { cursorOf, seqAfter } from './epoch.js';
import { type Entry, LogFollower, type Page } from './log-follower.js';
import type { RedisState } from './redis-state.js';

/** Events that a follower takes at once. */
const PAGE = 500;
/** Entries that one step reads at most; an entry has the events of one step of the storage. */
const MAX_ENTRIES = 10_000;
/** While somebody follows, what is appended is said on the log's channel; who follows says so again in time. */
const FOLLOWS_MS = 60_000;
/** How often a follower looks though nothing was rung. On a Cluster the one who listens may move without a word. */
const LOOK_AGAIN_MS = 20_000;
const LOOK_AGAIN_ON_CLUSTER_MS = 2_000;

/** An entry in which this stands may refer to a result that stands with its task. */
const REFERS = ',null,1]';
const NONE: ReadonlyMap<string, string> = new Map();

const NAMES: Readonly<Record<string, EventName>> = {
  c: 'task_created',
  s: 'task_started',
  u: 'task_status_update',
  d: 'task_completed',
  f: 'task_failed',
  x: 'session_updated',
};

/** Letter, task, its rev, session, data; then who reported it and his metadata, or 1 for a result that stands with its task. */
type StoredEvent = readonly [
  string,
  string | null,
  number | null,
  string | null,
  JsonValue,
  (string | 1)?,
  JsonObject?,
];

export class RedisEventLog implements EventLog {
  constructor(private readonly state: RedisState) {}

  async head({ tenantId }: Parameters<EventLog['head']>[0]): Promise<string> {
    const { seq, epoch } = await this.#fetch(tenantId, -1, 0, 0, '');
    return cursorOf(epoch, seq);
  }

  async read({ tenantId, after, limit }: Parameters<EventLog['read']>[0]): ReturnType<EventLog['read']> {
    const { events, epoch, seq, gap } = await this.#read(tenantId, after, limit, 0, '');
    return { events, cursor: cursorOf(epoch, seq), ...(gap && { gap }) };
  }

  follow({ tenantId, after, signal }: Parameters<EventLog['follow']>[0]): AsyncGenerator<TaskEvent | LogGap> {
    const { bells, isCluster } = this.state.parts;
    const follower = new LogFollower({
      bells,
      channel: this.state.keys.events(tenantId),
      read: (from, mark) => this.#read(tenantId, from, PAGE, FOLLOWS_MS, mark),
      entryOf: (bell) => this.#entryOf(tenantId, bell),
      cursorOf,
      lookAgainMs: isCluster ? LOOK_AGAIN_ON_CLUSTER_MS : LOOK_AGAIN_MS,
      takesEntries: !isCluster,
    });
    return follower.follow(after, signal);
  }

  /** An entry as it is published: its id, and itself. */
  #entryOf(tenantId: string, bell: string): Entry {
    const space = bell.indexOf(' ');
    const json = bell.slice(space + 1);
    const found = unpack(bell.slice(0, space), json, NONE);
    return {
      last: found.at(-1)?.seq ?? 0,
      count: found.length,
      after: (seq, epoch) =>
        json.includes(REFERS)
          ? undefined
          : found.filter((event) => event.seq > seq).map((event) => this.#view(tenantId, epoch, event)),
    };
  }

  /**
   * @param follows for how long somebody follows from here, in milliseconds.
   * @param mark what is said on the log's channel in the same step, or ''.
   */
  async #read(tenantId: string, after: string, limit: number, follows: number, mark: string): Promise<Page> {
    const asked = Number(after.split(':')[1] ?? -1);
    const page = await this.#fetch(tenantId, Number.isSafeInteger(asked) ? asked : -1, limit, follows, mark);
    const from = seqAfter(after, page.epoch, page.seq);
    if (
      from !== undefined &&
      (page.events[0]?.seq ?? from + 1) === from + 1 &&
      (page.events.length > 0 || from === page.seq)
    )
      return this.#page(tenantId, page, from);
    // It can't go on from there: what is still kept comes after the gap.
    const kept = await this.#fetch(tenantId, 0, limit, follows, mark);
    const first = (kept.events[0]?.seq ?? kept.seq + 1) - 1;
    const gap: LogGap = { event: 'gap', from: after, to: cursorOf(kept.epoch, first) };
    return { ...this.#page(tenantId, kept, first), gap };
  }

  #page(tenantId: string, { epoch, events, seq: head }: Fetched, from: number): Page {
    const viewed = events.map((event) => this.#view(tenantId, epoch, event));
    return { events: viewed, epoch, seq: events.at(-1)?.seq ?? from, head };
  }

  #view(tenantId: string, epoch: string | null, { at, seq, event }: FetchedEvent): TaskEvent {
    const [letter, taskId, rev, sessionId, data, from, metadata] = event;
    return {
      event: NAMES[letter] ?? 'task_status_update',
      service: typeof from === 'string' ? from : 'orchestrator',
      ...(taskId !== null && { task_id: taskId, global_task_id: taskId }),
      tenant_id: tenantId,
      ...(sessionId !== null && { session_id: sessionId }),
      timestamp: new Date(at).toISOString(),
      data,
      metadata: metadata ?? {},
      ...(rev !== null && { rev }),
      cursor: cursorOf(epoch, seq),
    };
  }

  async #fetch(
    tenantId: string,
    after: number,
    limit: number,
    follows: number,
    mark: string,
  ): Promise<Fetched> {
    const most = Math.min(limit, MAX_ENTRIES);
    const reply = await this.state.run(tenantId, 'readEvents', after, most, follows, mark);
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

interface FetchedEvent {
  readonly at: number;
  readonly seq: number;
  readonly event: StoredEvent;
}

interface Fetched {
  readonly seq: number;
  readonly epoch: string | null;
  readonly events: readonly FetchedEvent[];
}

/** An event of an entry, or several of plain tasks; see the script `events`. */
type Element =
  | readonly ['C', JsonValue, string]
  | readonly ['S', string]
  | readonly ['D', ...(readonly JsonValue[])]
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
  for (let at = 1; at < element.length; at += 2)
    events.push(['d', element[at] as string, 3, null, element[at + 1] as JsonValue]);
  return events;
}

/** The events of an entry, whose id is the `seq` of the last. */
function unpack(id: string, json: string, large: ReadonlyMap<string, string>): FetchedEvent[] {
  const [at, ...elements] = JSON.parse(json) as [number, ...Element[]];
  const events = elements.flatMap(eventsOf);
  const last = Number.parseInt(id, 10);
  return events.map((event, index) => {
    const [letter, taskId, rev, sessionId, , more] = event;
    const seq = last - (events.length - 1 - index);
    if (more !== 1) return { at, seq, event };
    const result = JSON.parse(large.get(taskId ?? '') ?? 'null') as JsonValue;
    return { at, seq, event: [letter, taskId, rev, sessionId, result] };
  });
}
