import type { Clock } from '@agent-orchestrator/core';
import { Fifo, WakeSignal } from '@agent-orchestrator/core/server';
import { writeJson } from '@agent-orchestrator/core/protocol';
import type { EventFrame } from '../events/event-frame.js';

/** Destination of the queue; `sent` is called when the bytes have left the process. */
export interface OutboundSocket {
  readonly unsentBytes: number;
  send(text: Buffer, sent: () => void): void;
}

export interface OutboundLimits {
  /** Unsent bytes above which progress of one task is coalesced. */
  readonly coalesceBytes: number;
  /** Unsent bytes above which the reader counts as too slow. */
  readonly maxBytes: number;
  /** Age of the oldest unsent frame above which the reader counts as too slow, ms. */
  readonly maxAgeMs: number;
}

export const OUTBOUND_LIMITS: OutboundLimits = {
  coalesceBytes: 1024 * 1024,
  maxBytes: 4 * 1024 * 1024,
  maxAgeMs: 10_000,
};

/** Serialisation of frames. */
export interface OutboundFormat {
  control(frame: object): Buffer;
  event(frame: EventFrame): Buffer;
  /** Progress that replaces earlier reports, from revision `from` on. */
  coalesced(frame: EventFrame, from: number): Buffer;
}

/** Frames as JSON text. */
export const JSON_FRAMES: OutboundFormat = {
  control: (frame) => Buffer.from(writeJson(frame)),
  event: (frame) => frame.bytes,
  coalesced: ({ event }, from) => Buffer.from(JSON.stringify({ ...event, coalesced_from: from })),
};

/** Bytes handed to the socket at a time; the rest stays here, where it can still be coalesced. */
const WINDOW_BYTES = 64 * 1024;

export interface OutboundParts {
  readonly socket: OutboundSocket;
  readonly limits: OutboundLimits;
  readonly format: OutboundFormat;
  readonly clock: Clock;
}

interface Entry {
  readonly bytes: Buffer;
  readonly at: number;
  readonly taskId?: string;
  /** First `rev` that a coalesced progress entry stands for. */
  readonly progressFrom?: number;
}

/**
 * Outbound queue of one client, in order. A slow reader first loses intermediate progress, marked by
 * `coalesced_from`, then its connection; nothing else.
 */
export class OutboundQueue {
  readonly #socket: OutboundSocket;
  readonly #limits: OutboundLimits;
  readonly #format: OutboundFormat;
  readonly #clock: Clock;
  readonly #tooSlow: () => void;
  /** In insertion order; entries coalesced into a later one are removed. */
  readonly #entries = new Set<Entry>();
  /** Last entry by task. */
  readonly #lastOfTask = new Map<string, Entry>();
  /** Enqueue times of the frames handed to the socket, oldest first. */
  readonly #handed = new Fifo<number>();
  #queuedBytes = 0;
  #stopTimer: (() => void) | undefined;
  readonly #hasRoom = new WakeSignal();
  #ended = false;

  /** @param tooSlow called once, when the reader is too slow; the queue has ended then. */
  constructor({ socket, limits, format, clock }: OutboundParts, tooSlow: () => void) {
    this.#socket = socket;
    this.#limits = limits;
    this.#format = format;
    this.#clock = clock;
    this.#tooSlow = tooSlow;
  }

  get unsentBytes(): number {
    return this.#queuedBytes + this.#socket.unsentBytes;
  }

  control(frame: object): void {
    this.#push({ bytes: this.#format.control(frame), at: this.#clock.monotonic() });
  }

  event(frame: EventFrame): void {
    const { event } = frame;
    const at = this.#clock.monotonic();
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

  /** Resolves when the queue is below the coalescing limit or has ended. */
  async room(): Promise<void> {
    while (!this.#ended && this.unsentBytes > this.#limits.coalesceBytes) await this.#hasRoom.next;
  }

  /** Drops unsent frames. */
  end(): void {
    this.#ended = true;
    this.#stopTimer?.();
    this.#entries.clear();
    this.#lastOfTask.clear();
    this.#queuedBytes = 0;
    this.#wake();
  }

  /** Removes a queued progress entry without a later entry of its task, when over the limit. */
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
    this.#hasRoom.notify();
  }

  /** Schedules the age check of the oldest frame. */
  #watch(): void {
    if (this.#stopTimer || this.#ended) return;
    const oldest = this.#oldest();
    if (oldest === undefined) return;
    const dueInMs = Math.max(1, oldest + this.#limits.maxAgeMs - this.#clock.monotonic());
    this.#stopTimer = this.#clock.after(dueInMs, () => {
      this.#stopTimer = undefined;
      const since = this.#oldest();
      if (since !== undefined && this.#clock.monotonic() - since >= this.#limits.maxAgeMs) this.#giveUp();
      else this.#watch();
    });
  }

  #oldest(): number | undefined {
    const { first } = this.#handed;
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
