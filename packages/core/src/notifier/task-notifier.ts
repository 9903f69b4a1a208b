import { z } from 'zod';
import { OrchestratorError } from '../protocol/errors.js';
import { idSchema, newToken } from '../protocol/ids.js';
import {
  JsonRefusedError,
  type JsonObject,
  type JsonValue,
  MAX_RESULT_BYTES,
  parseJson,
} from '../protocol/json.js';
import {
  type Ack,
  type HubFrame,
  MAX_ERROR_TEXT,
  MAX_ERROR_TYPE,
  type TaskNotification,
} from '../protocol/service-socket.js';
import { clampDelay } from '../protocol/retry-after.js';
import { cutText } from '../protocol/text.js';
import { classNameOf, messageOf } from '../protocol/thrown.js';
import { type Clock, systemClock } from '../runtime/clock.js';
import { WakeSignal } from '../runtime/wake-signal.js';
import { fullJitter } from '../protocol/full-jitter.js';
import { validate } from '../protocol/validation.js';
import { withTraceparent } from '../tracing/spans.js';
import { newListeners, type NotifierEvents, type NotifierListener } from './notifier-events.js';
import { Outbox, type OutboxEntry, type OutboxMessage } from './outbox.js';
import type { LinkState, NotifierTransport } from './transport.js';

/** Options of `TaskNotifier`. */
export interface TaskNotifierOptions {
  /** The name that the service's token belongs to. */
  readonly serviceName: string;
  readonly transport: NotifierTransport;
  /** Maximum of unacknowledged notifications. Default: 10,000. */
  readonly maxMessages?: number;
  /** Maximum bytes of unacknowledged notifications. Default: 64 MiB. */
  readonly maxBytes?: number;
  /** Maximum of notifications in flight. Default: 256, or 16 if the transport keeps no order. */
  readonly window?: number;
  /** Full-jitter back-off before a resend, ms: up to `retryBaseMs` (default 200), doubling with each failure. */
  readonly retryBaseMs?: number;
  /** Upper limit of the back-off, ms. Default: 5,000. */
  readonly retryCapMs?: number;
  /** Time and timers; tests advance it manually. Default: the system's. */
  readonly clock?: Clock;
}

const WINDOW = { inOrder: 256, oneByOne: 16 };
const wholeNumber = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31 - 1);
const optionsSchema = z.object({
  serviceName: idSchema,
  maxMessages: wholeNumber.default(10_000),
  maxBytes: wholeNumber.default(64 * 1024 * 1024),
  window: wholeNumber.optional(),
  retryBaseMs: wholeNumber.default(200),
  retryCapMs: wholeNumber.default(5_000),
});

/** Delay after a `retry_later` without `retry_after_ms`. */
const RETRY_LATER_MS = 1_000;
const RANDOM = { fraction: () => Math.random() };
/** A notification without an ack for this time is considered held by the hub. */
const HELD_MS = 1_000;
/** Maximum back-off of a job, whatever delay the peer requests. */
const MAX_BACKOFF_MS = 5 * 60_000;
/** Outcomes of rejected notifications. */
const NOT_TAKEN: ReadonlySet<Ack['outcome']> = new Set(['invalid', 'forbidden', 'unknown_task']);

/** Ids of the job that a notification reports on. */
export interface AboutTask {
  /** The service's job id: the `job_id` of its 202. 1 to 200 characters. */
  readonly task_id: string;
  readonly tenant_id: string;
  readonly global_task_id?: string | undefined;
  readonly call_id?: string | undefined;
  readonly metadata?: JsonObject;
}

/**
 * Reports a service's jobs to the orchestrator. Each `notify…` stores the notification in a bounded in-memory outbox and resolves
 * with the hub's ack; unacknowledged notifications are resent, so delivery is at least once while the process lives. States:
 * open, closed (`close`).
 *
 * Notifications of a job are sent and resent in order; while one waits to be resent, later ones of its job wait behind it.
 * Several may be in flight: if the hub defers the first and accepts the second, it later drops the first by its `seq`. This
 * affects only progress superseded by newer progress or the outcome; an outcome is never dropped because of its order.
 *
 * Every `notify…` rejects with an `OrchestratorError`, whose `code` is
 * - `outbox_full`: too many unacknowledged notifications; nothing was stored
 * - `payload_too_large`: the notification exceeds 1 MiB as JSON; nothing was stored
 * - `invalid_message`: it can't be JSON, or not JSON that the hub accepts (32 levels, no `__proto__`); nothing was stored
 * - `not_running`: the notifier is closed, or was closed before the ack.
 */
export class TaskNotifier implements AsyncDisposable {
  readonly serviceName: string;
  readonly #transport: NotifierTransport;
  readonly #outbox: Outbox;
  readonly #window: number;
  readonly #retry: { readonly baseMs: number; readonly capMs: number };
  readonly #clock: Clock;
  readonly #listeners = newListeners();
  /** Functions that cancel the pending timers. */
  readonly #timers = new Set<() => void>();
  /** Called when the link changes, the outbox becomes empty, or the notifier closes. */
  readonly #changed = new WakeSignal();
  #link: LinkState | undefined;
  /** Entries in the window, by the time of their send, monotonic ms; infinity for entries deferred by the hub. */
  readonly #sent = new Map<OutboxEntry, number>();
  #waitsForWindow = false;
  #seq = 0;
  #closed: Promise<void> | undefined;

  /** @throws {OrchestratorError} `invalid_request` for an invalid option. */
  constructor(options: TaskNotifierOptions) {
    const { transport } = options;
    const checked = validate(optionsSchema, options, 'the options of TaskNotifier');
    this.serviceName = checked.serviceName;
    this.#transport = transport;
    this.#clock = options.clock ?? systemClock;
    this.#window = checked.window ?? (transport.inOrder ? WINDOW.inOrder : WINDOW.oneByOne);
    this.#retry = { baseMs: checked.retryBaseMs, capMs: checked.retryCapMs };
    const { maxMessages, maxBytes } = checked;
    this.#outbox = new Outbox({ maxMessages, maxBytes, pipelined: transport.inOrder });
    transport.open({
      serviceName: this.serviceName,
      onFrame: (frame) => this.#onFrame(frame),
      onLink: (state) => this.#onLink(state),
    });
  }

  /** Number of unacknowledged notifications. */
  get pending(): number {
    return this.#outbox.size;
  }

  /** Adds a listener. Its errors become process warnings. */
  on<E extends keyof NotifierEvents>(event: E, listener: NotifierListener<E>): this {
    this.#listeners.on(event, listener);
    return this;
  }

  off<E extends keyof NotifierEvents>(event: E, listener: NotifierListener<E>): this {
    this.#listeners.off(event, listener);
    return this;
  }

  /**
   * Resolves once connected. Not required before `notify…`: notifications are kept until then.
   *
   * @throws {OrchestratorError} `unauthorized` or `forbidden` while the hub refuses the token, `not_running` once closed.
   * @throws The reason of `signal`.
   */
  async ready({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    for (;;) {
      if (this.#closed) throw this.#notRunning();
      if (this.#link?.state === 'connected') return;
      if (this.#link?.state === 'refused') throw this.#link.error;
      signal?.throwIfAborted();
      await this.#changed.wait({ signal });
    }
  }

  /** Reports progress. `status` is free text; replaces the job's unsent progress. */
  notifyTaskStatus(
    about: AboutTask & { readonly status: string; readonly details?: JsonValue },
  ): Promise<Ack> {
    const data = { status: about.status, details: about.details ?? {} };
    return this.#notify({ event: 'task_status_update', ...this.#envelope(about), data });
  }

  /** Reports success. `result` is any JSON, `null` and `0` included; at most 1 MiB. */
  notifyTaskCompletion(about: AboutTask & { readonly result: unknown }): Promise<Ack> {
    const data = about.result as JsonValue;
    return this.#notify({ event: 'task_completed', ...this.#envelope(withTraceparent(about)), data });
  }

  /** Reports failure. `retryable` (default `false`): another try may succeed. */
  notifyTaskFailure(
    about: AboutTask & {
      readonly error: unknown;
      readonly error_type?: string;
      readonly retryable?: boolean;
    },
  ): Promise<Ack> {
    const { error, retryable = false } = about;
    const data = {
      error: cutText(messageOf(error), MAX_ERROR_TEXT),
      error_type: cutText(about.error_type ?? classNameOf(error), MAX_ERROR_TYPE),
      retryable,
    };
    return this.#notify({ event: 'task_failed', ...this.#envelope(withTraceparent(about)), data });
  }

  /** Resolves once all notifications are acknowledged, the notifier is closed, or `signal` fires; check `pending`. */
  async drain({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    for (;;) {
      if (this.#outbox.size === 0 || signal?.aborted === true) return;
      await this.#changed.wait({ signal });
    }
  }

  /** Closes the notifier and its transport; unacknowledged notifications reject with `not_running`. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    for (const cancel of this.#timers) cancel();
    for (const entry of this.#outbox.clear()) entry.reject(this.#notRunning());
    this.#changed.notify();
    await this.#transport.close();
  }

  #notRunning(): OrchestratorError {
    return new OrchestratorError('not_running', `the notifier of ${this.serviceName} is closed`);
  }

  #envelope(about: AboutTask) {
    const { task_id, tenant_id, global_task_id, call_id, metadata } = about;
    return { service: this.serviceName, task_id, tenant_id, global_task_id, call_id, metadata };
  }

  #notify(notification: TaskNotification): Promise<Ack> {
    const acked = this.#deliver(notification);
    // Callers may ignore the ack; its rejection must not end their process.
    acked.catch(() => undefined);
    return acked;
  }

  /** Stores the notification before the first `await`, so that it is in the outbox when `notify…` returns. */
  async #deliver(notification: TaskNotification): Promise<Ack> {
    if (this.#closed) throw this.#notRunning();
    const entry = this.#outbox.put(this.#message(notification));
    if (entry === 'full') {
      const { size, bytes } = this.#outbox;
      throw new OrchestratorError(
        'outbox_full',
        `the outbox is full: ${size} notifications (${bytes} bytes) wait for their ack`,
      );
    }
    this.#pump();
    return entry.acked;
  }

  #message(notification: TaskNotification): OutboxMessage {
    const message_id = newToken();
    // From the clock, so that `seq` does not decrease when the service restarts.
    const now = this.#clock.now();
    const seq = Math.max(this.#seq + 1, now);
    const timestamp = new Date(now).toISOString();
    const text = toText({ ...notification, timestamp, message_id, seq });
    const bytes = Buffer.byteLength(text);
    if (bytes > MAX_RESULT_BYTES) {
      throw new OrchestratorError(
        'payload_too_large',
        `expected at most ${MAX_RESULT_BYTES} bytes, got ${bytes}`,
      );
    }
    refuseUnreadable(text);
    this.#seq = seq;
    const job = `${notification.tenant_id}\n${notification.task_id}`;
    return { message_id, text, bytes, seq, job, progress: notification.event === 'task_status_update' };
  }

  #pump(): void {
    while (this.#hasRoom() && this.#link?.state === 'connected' && !this.#closed) {
      const entry = this.#outbox.take();
      if (!entry) return;
      void this.#send(entry);
    }
  }

  /**
   * Whether the window has room. An entry without an ack for a while is held by the hub until its call is answered; it leaves the
   * window, so that others need not wait for that.
   */
  #hasRoom(): boolean {
    if (this.#sent.size < this.#window) return true;
    const heldSince = this.#clock.monotonic() - HELD_MS;
    for (const [entry, at] of this.#sent) {
      if (at <= heldSince) return this.#sent.delete(entry);
      if (Number.isFinite(at)) break;
    }
    if (!this.#waitsForWindow) {
      this.#waitsForWindow = true;
      this.#after(HELD_MS, () => {
        this.#waitsForWindow = false;
        this.#pump();
      });
    }
    return false;
  }

  /** One try. The entry stays in the window until its ack, so that a hub that answers `retry_later` is not flooded. */
  async #send(entry: OutboxEntry): Promise<void> {
    // Moves the entry to the end: the map is ordered by send time.
    this.#sent.delete(entry);
    this.#sent.set(entry, this.#clock.monotonic());
    try {
      const ack = await this.#transport.send(entry.message);
      if (ack.outcome === 'retry_later') {
        // With jitter: entries deferred together must not all be resent together.
        this.#resend(entry, (clampDelay(ack.retry_after_ms) ?? RETRY_LATER_MS) * (1 + Math.random() / 2));
        return;
      }
      this.#settle(entry);
      entry.resolve(ack);
      if (NOT_TAKEN.has(ack.outcome)) this.#listeners.emit('not_taken', { ack, notification: entry.message });
    } catch (error) {
      if (error instanceof OrchestratorError && !error.retryable) {
        this.#settle(entry);
        entry.reject(error);
        return;
      }
      const { queue } = entry;
      if (!queue.backingOff) queue.failures += 1;
      const requested = error instanceof OrchestratorError ? clampDelay(error.retryAfterMs) : undefined;
      const { baseMs, capMs } = this.#retry;
      this.#resend(entry, requested ?? fullJitter(RANDOM, queue.failures, baseMs, capMs));
    }
  }

  #settle(entry: OutboxEntry): void {
    if (this.#closed) return;
    this.#sent.delete(entry);
    entry.queue.failures = 0;
    this.#outbox.remove(entry);
    if (this.#outbox.size === 0) this.#changed.notify();
    this.#pump();
  }

  /** Backs off the entry's job for `delayMs`, unless it already does, then resends its failed entries. */
  #resend(entry: OutboxEntry, delayMs: number): void {
    if (this.#closed) return;
    const { queue } = entry;
    const { backingOff } = queue;
    this.#sent.set(entry, Number.POSITIVE_INFINITY);
    this.#outbox.putBack(entry);
    if (backingOff) return;
    this.#after(Math.min(delayMs, MAX_BACKOFF_MS), () => {
      for (const failed of this.#outbox.resume(queue)) void this.#send(failed);
      this.#pump();
    });
  }

  /** Calls `callback` after `ms`, unless the notifier is closed before. */
  #after(ms: number, callback: () => void): void {
    const cancel = this.#clock.after(ms, () => {
      this.#timers.delete(cancel);
      callback();
    });
    this.#timers.add(cancel);
  }

  #onFrame(frame: HubFrame): void {
    if (frame.event === 'task_cancel') this.#listeners.emit('task_cancel', frame);
    else this.#listeners.emit('outcome', frame);
  }

  #onLink(link: LinkState): void {
    if (this.#closed) return;
    this.#link = link;
    this.#pump();
    this.#changed.notify();
    if (link.state === 'connected') this.#listeners.emit('connected', link);
    else if (link.state === 'disconnected') this.#listeners.emit('disconnected', link);
    else this.#listeners.emit('refused', link);
  }
}

function toText(frame: TaskNotification): string {
  try {
    return JSON.stringify(frame);
  } catch (error) {
    const why = messageOf(error);
    throw new OrchestratorError('invalid_message', `expected a notification that can be JSON: ${why}`);
  }
}

/** The hub can't acknowledge a frame that it can't parse, so reject it before it is stored. */
function refuseUnreadable(text: string): void {
  try {
    parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonRefusedError)) throw error;
    throw new OrchestratorError('invalid_message', error.reason);
  }
}
