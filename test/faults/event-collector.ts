import { isFinalEvent, type JsonValue } from '@agent-orchestrator/core';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { KEYS } from './killable-hub.js';

export interface SeenEvent {
  readonly event: string;
  readonly service: string;
  readonly task_id: string;
  readonly tenant_id: string;
  readonly data: JsonValue;
  readonly metadata: JsonValue;
  readonly timestamp: string;
  readonly rev: number;
  readonly cursor: string;
  readonly coalesced_from?: number;
}

/**
 * A client of one tenant on the client socket, which reconnects with its last cursor. It checks its events:
 * each once, in order, `rev` without gaps, nothing after the one final event.
 */
export class EventCollector {
  /** Violations, as text for the failed check. */
  readonly violations: string[] = [];
  readonly events = new Map<string, SeenEvent[]>();
  readonly finals = new Map<string, SeenEvent>();
  count = 0;
  /** Number of gap frames. */
  gaps = 0;
  /** The last of them, with its snapshot. */
  lastGap: Record<string, unknown> | undefined;
  /** Number of connections made. */
  connected = 0;
  readonly #revs = new Map<string, number>();
  #cursor: string | undefined;
  #seq = 0;
  #socket: WebSocket | undefined;
  #over = false;
  #wakeup: () => void = () => undefined;

  constructor(
    private url: string,
    private readonly tenant: keyof typeof KEYS = 'acme',
  ) {
    onTestFinished(() => this.stop());
  }

  get socket(): WebSocket {
    if (!this.#socket) throw new Error('not connected');
    return this.#socket;
  }

  /** Resolves once it is subscribed. */
  async start(): Promise<this> {
    this.#connect();
    await this.until(() => this.connected > 0);
    return this;
  }

  stop(): void {
    this.#over = true;
    this.#socket?.terminate();
  }

  /** Resolves when `fact` is true; checked at each frame. */
  async until(fact: () => boolean): Promise<void> {
    while (!fact()) await new Promise<void>((resolve) => (this.#wakeup = resolve));
  }

  /** The final event of a task. */
  async final(taskId: string): Promise<SeenEvent> {
    await this.until(() => this.finals.has(taskId));
    return this.finals.get(taskId) as SeenEvent;
  }

  named(taskId: string): string[] {
    return (this.events.get(taskId) ?? []).map(({ event }) => event);
  }

  #connect(): void {
    if (this.#over) return;
    const url = `${this.url.replace(/^http/, 'ws')}/ws/client`;
    const socket = new WebSocket(url, { headers: { authorization: `Bearer ${KEYS[this.tenant]}` } });
    this.#socket = socket;
    socket.on('open', () => {
      const topic = { tenant: true };
      socket.send(JSON.stringify({ action: 'subscribe', id: 'all', topic, after: this.#cursor }));
    });
    socket.on('message', (data: Buffer) =>
      this.#read(JSON.parse(data.toString()) as Record<string, unknown>),
    );
    socket.on('error', () => undefined);
    socket.on('close', () => setTimeout(() => this.#connect(), 5));
  }

  #read(frame: Record<string, unknown>): void {
    if (frame['event'] === 'subscribed') {
      this.connected += 1;
      // Afterwards the client keeps its own cursor until events have moved it.
      this.#cursor ??= frame['cursor'] as string;
    } else if (frame['event'] === 'gap') {
      this.gaps += 1;
      this.lastGap = frame;
      // After a gap the revs of tasks are unknown: they have no gaps from their next event on.
      this.#revs.clear();
      this.#cursor = frame['to'] as string;
    } else if (frame['event'] === 'error') {
      this.violations.push(`an error frame: ${JSON.stringify(frame)}`);
    } else if (frame['event'] !== 'heartbeat') {
      this.#judge(frame as unknown as SeenEvent);
    }
    this.#wakeup();
  }

  #judge(event: SeenEvent): void {
    const { task_id: id, rev, cursor } = event;
    const seq = Number(cursor.split(':')[1]);
    if (seq <= this.#seq) this.violations.push(`${id}: the event at ${cursor} is repeated or late`);
    if (event.tenant_id !== this.tenant) this.violations.push(`${id}: an event of ${event.tenant_id}`);
    this.#seq = seq;
    this.#cursor = cursor;
    this.count += 1;
    // Of a session, not of a task.
    if (event.event === 'session_updated') return;
    const before = this.events.get(id) ?? [];
    const last = this.#revs.get(id) ?? (this.gaps === 0 ? 0 : undefined);
    if (last !== undefined && (event.coalesced_from ?? rev) !== last + 1) {
      this.violations.push(`${id}: expected rev ${last + 1}, got ${rev}`);
    }
    this.#revs.set(id, rev);
    if (this.finals.has(id)) this.violations.push(`${id}: ${event.event} after its final event`);
    if (isFinalEvent(event.event)) this.finals.set(id, event);
    before.push(event);
    this.events.set(id, before);
  }
}
