import { writeJson } from '@agent-orchestrator/core';
import type { EventFrame } from './event-frame.js';

/** Where the queue sends: `sent` is called when the bytes have left the process. */
export interface OutboundSocket {
  readonly unsentBytes: number;
  send(text: Buffer, sent: () => void): void;
}

export interface OutboundLimits {
  /** Past this many bytes unsent, progress of the same task is coalesced. */
  readonly coalesceBytes: number;
  /** Past this many bytes unsent, the reader is too slow. */
  readonly maxBytes: number;
  /** Anything unsent for longer than this makes the reader too slow, in milliseconds. */
  readonly maxAgeMs: number;
}

export const OUTBOUND_LIMITS: OutboundLimits = {
  coalesceBytes: 1024 * 1024,
  maxBytes: 4 * 1024 * 1024,
  maxAgeMs: 10_000,
};

/** How frames are written. */
export interface OutboundFormat {
  control(frame: object): Buffer;
  event(frame: EventFrame): Buffer;
  /** Progress that also stands for what came before it, from a `rev` on. */
  coalesced(frame: EventFrame, from: number): Buffer;
}

/** Each frame as a JSON text. */
export const JSON_FRAMES: OutboundFormat = {
  control: (frame) => Buffer.from(writeJson(frame)),
  event: (frame) => frame.bytes,
  coalesced: ({ event }, from) => Buffer.from(JSON.stringify({ ...event, coalesced_from: from })),
};

/** How much is handed to the socket at a time; the rest stays here, where it can still be coalesced. */
const WINDOW_BYTES = 64 * 1024;

interface Entry {
  readonly bytes: Buffer;
  readonly at: number;
  readonly taskId?: string;
  /** For progress: the first `rev` that this entry stands for. */
  readonly progressFrom?: number;
}

/**
 * What is on its way to one client, in order. A slow reader first loses steps of progress, and is told which
 * (`coalesced_from`), then its connection; it never loses anything else.
 */
export class OutboundQueue {
  readonly #socket: OutboundSocket;
  readonly #limits: OutboundLimits;
  readonly #format: OutboundFormat;
  readonly #tooSlow: () => void;
  /** In order of insertion; an entry that was coalesced into a later one is taken out. */
  readonly #entries = new Set<Entry>();
  /** The last entry of each task. */
  readonly #lastOfTask = new Map<string, Entry>();
  /** When what the socket has now was queued, oldest first. */
  readonly #handed: number[] = [];
  #queuedBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #roomWaiters: (() => void)[] = [];
  #ended = false;

  constructor(socket: OutboundSocket, limits: OutboundLimits, format: OutboundFormat, tooSlow: () => void) {
    this.#socket = socket;
    this.#limits = limits;
    this.#format = format;
    this.#tooSlow = tooSlow;
  }

  get unsentBytes(): number {
    return this.#queuedBytes + this.#socket.unsentBytes;
  }

  control(frame: object): void {
    this.#push({ bytes: this.#format.control(frame), at: performance.now() });
  }

  event(frame: EventFrame): void {
    const { event } = frame;
    const at = performance.now();
    if (event.task_id === undefined) {
      this.#push({ bytes: this.#format.event(frame), at });
    } else if (event.event !== 'task_status_update' || event.rev === undefined) {
      this.#push({ bytes: this.#format.event(frame), at, taskId: event.task_id });
    } else {
      const from = this.#coalesce(event.task_id);
      const bytes = from === undefined ? this.#format.event(frame) : this.#format.coalesced(frame, from);
      this.#push({ bytes, at, taskId: event.task_id, progressFrom: from ?? event.rev });
    }
  }

  /** Resolves when there is room below the mark from which on progress is coalesced, or the queue has ended. */
  async room(): Promise<void> {
    while (!this.#ended && this.unsentBytes > this.#limits.coalesceBytes) {
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
    }
  }

  /** Forgets what is unsent. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#entries.clear();
    this.#lastOfTask.clear();
    this.#queuedBytes = 0;
    this.#wake();
  }

  /** Takes out the progress of a task that waits with nothing of the task behind it, if it is time for that. */
  #coalesce(taskId: string): number | undefined {
    if (this.unsentBytes <= this.#limits.coalesceBytes) return undefined;
    const last = this.#lastOfTask.get(taskId);
    if (last?.progressFrom === undefined) return undefined;
    this.#entries.delete(last);
    this.#queuedBytes -= last.bytes.byteLength;
    return last.progressFrom;
  }

  #push(entry: Entry): void {
    if (this.#ended) return;
    this.#entries.add(entry);
    this.#queuedBytes += entry.bytes.byteLength;
    if (entry.taskId !== undefined) this.#lastOfTask.set(entry.taskId, entry);
    this.#pump();
    if (this.unsentBytes > this.#limits.maxBytes) this.#giveUp();
    else this.#watch();
  }

  #pump(): void {
    for (const entry of this.#entries) {
      if (this.#socket.unsentBytes >= WINDOW_BYTES) return;
      this.#entries.delete(entry);
      this.#queuedBytes -= entry.bytes.byteLength;
      if (entry.taskId !== undefined && this.#lastOfTask.get(entry.taskId) === entry)
        this.#lastOfTask.delete(entry.taskId);
      this.#handed.push(entry.at);
      this.#socket.send(entry.bytes, () => this.#sent());
    }
  }

  #sent(): void {
    this.#handed.shift();
    if (this.#ended) return;
    this.#pump();
    this.#wake();
  }

  #wake(): void {
    if (!this.#ended && this.unsentBytes > this.#limits.coalesceBytes) return;
    for (const waiter of this.#roomWaiters.splice(0)) waiter();
  }

  /** Looks again when what is oldest now would have waited too long. */
  #watch(): void {
    if (this.#timer || this.#ended) return;
    const oldest = this.#oldest();
    if (oldest === undefined) return;
    const dueInMs = Math.max(1, oldest + this.#limits.maxAgeMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const since = this.#oldest();
      if (since !== undefined && performance.now() - since >= this.#limits.maxAgeMs) this.#giveUp();
      else this.#watch();
    }, dueInMs);
  }

  #oldest(): number | undefined {
    const first = this.#handed[0];
    if (first !== undefined) return first;
    for (const entry of this.#entries) return entry.at;
    return undefined;
  }

  #giveUp(): void {
    if (this.#ended) return;
    this.end();
    this.#tooSlow();
  }
}
