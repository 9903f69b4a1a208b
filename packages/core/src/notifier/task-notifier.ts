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
import { saneDelay } from '../protocol/retry-after.js';
import { cutText } from '../protocol/text.js';
import { classNameOf, messageOf } from '../protocol/thrown.js';
import { fullJitter } from '../protocol/full-jitter.js';
import { validate } from '../protocol/validation.js';
import { ListenerSet, type NotifierEvents, type NotifierListener } from './notifier-events.js';
import { Outbox, type OutboxEntry, type OutboxMessage } from './outbox.js';
import type { LinkState, NotifierTransport } from './transport.js';

export interface TaskNotifierOptions {
  /** The name that belongs to the service's token. */
  readonly serviceName: string;
  readonly transport: NotifierTransport;
  /** How many notifications may wait for their ack. Default: 10,000. */
  readonly maxMessages?: number;
  /** How many bytes of notifications may wait for their ack. Default: 64 MiB. */
  readonly maxBytes?: number;
  /** How many may be sent without having an ack. Default: 256, or 16 where the transport keeps no order. */
  readonly window?: number;
  /**
   * Before a notification is sent again that got no ack in time, in milliseconds: anything up to `retryBaseMs`, twice that
   * the next time, and so on up to `retryCapMs`. Default: 200 and 5,000.
   */
  readonly retryBaseMs?: number;
  readonly retryCapMs?: number;
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

/** When the hub says "later" and not when, in milliseconds. */
const RETRY_LATER_MS = 1_000;
const RANDOM = { fraction: () => Math.random() };
/** What has had no ack for so long is held by the hub, in milliseconds. */
const HELD_MS = 1_000;
/** However long somebody says that a job is to rest, in milliseconds. */
const MAX_REST_MS = 5 * 60_000;
/** What the hub could do nothing with. */
const NOT_TAKEN: ReadonlySet<Ack['outcome']> = new Set(['invalid', 'forbidden', 'unknown_task']);

/** What every notification says about the work that it reports on. */
export interface AboutTask {
  /** The service's own name for the work: the `job_id` of its 202. 1 to 200 characters. */
  readonly task_id: string;
  readonly tenant_id: string;
  readonly global_task_id?: string | undefined;
  readonly call_id?: string | undefined;
  readonly metadata?: JsonObject;
}

/**
 * Reports what a service does to the orchestrator. Each `notify…` stores the notification in a bounded outbox and
 * resolves with the hub's ack; what is not acknowledged is sent again, so from the moment it returns a notification
 * is delivered at least once while the process lives. States: open, until `close`.
 *
 * Notifications of a job are sent in the order in which they were made, and sent again in that order; while one of them
 * waits to be sent again, the next ones of its job wait behind it. Several may be on their way at once: should the hub
 * put off the first of them and take the second, it drops the first when it comes again, by its `seq`. That can only
 * be progress that newer progress or the outcome has replaced; an outcome is never dropped for its place.
 *
 * Every `notify…` rejects with an `OrchestratorError`, whose `code` is
 * - `outbox_full`: so much waits for its ack that there is no room; nothing was stored
 * - `payload_too_large`: the notification has more than 1 MiB as JSON; nothing was stored
 * - `invalid_message`: it can't be JSON, or not JSON that the hub reads (32 levels, no `__proto__`); nothing was stored
 * - `not_running`: the notifier is closed, or was before the ack came.
 */
export class TaskNotifier implements AsyncDisposable {
  readonly serviceName: string;
  readonly #transport: NotifierTransport;
  readonly #outbox: Outbox;
  readonly #window: number;
  readonly #retry: { readonly baseMs: number; readonly capMs: number };
  readonly #listeners = new ListenerSet();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Wakes whoever waits for the link, for the outbox to be empty, or for the end. */
  readonly #waiters = new Set<() => void>();
  #link: LinkState | undefined;
  /** Sent, without ack, and in the window: when. Never, for what the hub has put off. */
  readonly #sent = new Map<OutboxEntry, number>();
  #nextLook: NodeJS.Timeout | undefined;
  #seq = 0;
  #closed: Promise<void> | undefined;

  /** @throws {OrchestratorError} `invalid_request` for an option that can't be meant. */
  constructor(options: TaskNotifierOptions) {
    const { transport } = options;
    const checked = validate(optionsSchema, options, 'the options of TaskNotifier');
    this.serviceName = checked.serviceName;
    this.#transport = transport;
    this.#window = checked.window ?? (transport.inOrder ? WINDOW.inOrder : WINDOW.oneByOne);
    this.#retry = { baseMs: checked.retryBaseMs, capMs: checked.retryCapMs };
    const { maxMessages, maxBytes } = checked;
    this.#outbox = new Outbox({ maxMessages, maxBytes, pipelined: transport.inOrder });
    transport.open({
      serviceName: this.serviceName,
      heard: (frame) => this.#hear(frame),
      linked: (state) => this.#linked(state),
    });
  }

  /** How many notifications have no ack yet. */
  get pending(): number {
    return this.#outbox.size;
  }

  /** What a listener throws is a warning of the process, and disturbs nothing. */
  on<E extends keyof NotifierEvents>(event: E, listener: NotifierListener<E>): this {
    this.#listeners.on(event, listener);
    return this;
  }

  off<E extends keyof NotifierEvents>(event: E, listener: NotifierListener<E>): this {
    this.#listeners.off(event, listener);
    return this;
  }

  /**
   * Resolves once the hub has let the service in. Nothing needs to wait for it: what is reported before is kept.
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
      await this.#news(signal);
    }
  }

  /** Progress: ends nothing. `status` is free text; older progress that was not sent yet is replaced. */
  notifyTaskStatus(
    about: AboutTask & { readonly status: string; readonly details?: JsonValue },
  ): Promise<Ack> {
    const data = { status: about.status, details: about.details ?? {} };
    return this.#notify({ event: 'task_status_update', ...this.#envelope(about), data });
  }

  /** The work is done. `result` is any JSON, `null` and `0` included; at most 1 MiB. */
  notifyTaskCompletion(about: AboutTask & { readonly result: JsonValue }): Promise<Ack> {
    return this.#notify({ event: 'task_completed', ...this.#envelope(about), data: about.result });
  }

  /** The work failed. `retryable` (default false) says that another try may succeed. */
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
    return this.#notify({ event: 'task_failed', ...this.#envelope(about), data });
  }

  /** Resolves once everything is acknowledged, the notifier is closed, or `signal` fires; `pending` says what is left. */
  async drain({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    for (;;) {
      if (this.#outbox.size === 0 || signal?.aborted === true) return;
      await this.#news(signal);
    }
  }

  /** Ends it, and its transport; what has no ack yet is rejected with `not_running`. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const entry of this.#outbox.clear()) entry.reject(this.#notRunning());
    this.#wake();
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
    // Callers need not wait for the ack; that must not end their process.
    acked.catch(() => undefined);
    return acked;
  }

  /** Stores it before the first `await`, so that it is in the outbox when `notify…` returns. */
  async #deliver(notification: TaskNotification): Promise<Ack> {
    if (this.#closed) throw this.#notRunning();
    const entry = this.#outbox.put(this.#message(notification));
    if (entry === 'full') {
      const { size, bytes } = this.#outbox;
      throw new OrchestratorError('outbox_full', `${size} notifications (${bytes} bytes) wait for their ack`);
    }
    this.#pump();
    return entry.acked;
  }

  #message(notification: TaskNotification): OutboxMessage {
    const message_id = newToken();
    // From the clock, so that a service which starts again does not go back in its jobs.
    const seq = Math.max(this.#seq + 1, Date.now());
    const timestamp = new Date().toISOString();
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
   * Whether the window has room for one more. One that has had no ack for a while is held by the hub, until the call that
   * it is about is answered: nothing behind it waits for that.
   */
  #hasRoom(): boolean {
    if (this.#sent.size < this.#window) return true;
    const heldSince = Date.now() - HELD_MS;
    for (const [entry, at] of this.#sent) {
      if (at <= heldSince) return this.#sent.delete(entry);
      if (Number.isFinite(at)) break;
    }
    if (this.#nextLook === undefined) {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#nextLook = undefined;
        this.#pump();
      }, HELD_MS);
      this.#timers.add((this.#nextLook = timer));
    }
    return false;
  }

  /** One try. It keeps its place in the window until it has an ack, so that a hub which says "later" is not flooded. */
  async #send(entry: OutboxEntry): Promise<void> {
    // At the end again, if it was in it: the oldest stand first.
    this.#sent.delete(entry);
    this.#sent.set(entry, Date.now());
    try {
      const ack = await this.#transport.send(entry.message);
      if (ack.outcome === 'retry_later') {
        // Spread, because everything that was put off at once would come back at once.
        this.#sendAgain(entry, (saneDelay(ack.retry_after_ms) ?? RETRY_LATER_MS) * (1 + Math.random() / 2));
        return;
      }
      this.#settle(entry);
      entry.resolve(ack);
      if (NOT_TAKEN.has(ack.outcome)) this.#listeners.tell('not_taken', { ack, notification: entry.message });
    } catch (error) {
      if (error instanceof OrchestratorError && !error.retryable) {
        this.#settle(entry);
        entry.reject(error);
        return;
      }
      const { queue } = entry;
      if (!queue.idle) queue.failures += 1;
      const asked = error instanceof OrchestratorError ? saneDelay(error.retryAfterMs) : undefined;
      const { baseMs, capMs } = this.#retry;
      this.#sendAgain(entry, asked ?? fullJitter(RANDOM, queue.failures, baseMs, capMs));
    }
  }

  #settle(entry: OutboxEntry): void {
    if (this.#closed) return;
    this.#sent.delete(entry);
    entry.queue.failures = 0;
    this.#outbox.remove(entry);
    if (this.#outbox.size === 0) this.#wake();
    this.#pump();
  }

  /** Its job rests for `delayMs`, unless it rests already, and goes on with what was sent in vain. */
  #sendAgain(entry: OutboxEntry, delayMs: number): void {
    if (this.#closed) return;
    const { queue } = entry;
    const rests = queue.idle;
    this.#sent.set(entry, Number.POSITIVE_INFINITY);
    this.#outbox.putBack(entry);
    if (rests) return;
    const pump = () => {
      this.#timers.delete(timer);
      for (const again of this.#outbox.wake(queue)) void this.#send(again);
      this.#pump();
    };
    const timer = setTimeout(pump, Math.min(delayMs, MAX_REST_MS));
    this.#timers.add(timer);
  }

  #hear(frame: HubFrame): void {
    if (frame.event === 'task_cancel') this.#listeners.tell('task_cancel', frame);
    else this.#listeners.tell('outcome', frame);
  }

  #linked(link: LinkState): void {
    if (this.#closed) return;
    this.#link = link;
    this.#pump();
    this.#wake();
    if (link.state === 'connected') this.#listeners.tell('connected', link);
    else if (link.state === 'disconnected') this.#listeners.tell('disconnected', link);
    else this.#listeners.tell('refused', link);
  }

  /** Resolves at the next thing that somebody may have waited for, or when `signal` fires. */
  #news(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal?.removeEventListener('abort', done);
        this.#waiters.delete(done);
        resolve();
      };
      this.#waiters.add(done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
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

/** The hub can't name what it can't read, so such a notification would never have an ack. */
function refuseUnreadable(text: string): void {
  try {
    parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonRefusedError)) throw error;
    throw new OrchestratorError('invalid_message', error.reason);
  }
}
