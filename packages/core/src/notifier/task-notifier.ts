import { setMaxListeners } from 'node:events';
import { EventEmitter } from 'eventemitter3';
import { OrchestratorError } from '../protocol/errors.js';
import { newToken } from '../protocol/ids.js';
import { type JsonObject, type JsonValue, MAX_RESULT_BYTES } from '../protocol/json.js';
import type {
  Ack,
  GatewayOutcome,
  HubFrame,
  TaskCancel,
  TaskNotification,
} from '../protocol/service-socket.js';
import { Outbox, type OutboxEntry } from './outbox.js';
import type { NotifierTransport, OutgoingNotification } from './transport.js';

export interface TaskNotifierOptions {
  /** The name that belongs to the service's token. */
  readonly serviceName: string;
  readonly transport: NotifierTransport;
  /** How many notifications may wait for their ack. Default 10,000. */
  readonly maxMessages?: number;
  /** How many bytes may wait for their ack. Default 64 MiB. */
  readonly maxBytes?: number;
  /** How many are under way at once. Default 256. */
  readonly window?: number;
}

/** What every notification says about the work that it reports on. */
export interface AboutTask {
  /** The service's own name for the work: the `job_id` of its 202. 1 to 200 characters. */
  readonly task_id: string;
  readonly tenant_id: string;
  readonly global_task_id?: string | undefined;
  readonly call_id?: string | undefined;
  readonly metadata?: JsonObject;
}

interface NotifierEvents {
  /** Nobody waits for this work any more. */
  task_cancel: [TaskCancel];
  /** The outcome of a call that this service asked for at the gateway. */
  outcome: [GatewayOutcome];
}

/**
 * Reports what a service does to the orchestrator. Each `notify…` stores the notification in a bounded outbox and
 * resolves with the hub's ack; what is not acknowledged is sent again, so from the moment it returns a notification
 * is delivered at least once while the process lives. States: open, until `close`.
 */
export class TaskNotifier {
  readonly serviceName: string;
  readonly #transport: NotifierTransport;
  readonly #outbox: Outbox;
  readonly #window: number;
  readonly #events = new EventEmitter<NotifierEvents>();
  readonly #closing = new AbortController();
  readonly #stopListening: () => void;
  #underWay = 0;

  constructor(options: TaskNotifierOptions) {
    this.serviceName = options.serviceName;
    this.#transport = options.transport;
    this.#window = options.window ?? 256;
    this.#outbox = new Outbox({
      maxMessages: options.maxMessages ?? 10_000,
      maxBytes: options.maxBytes ?? 64 * 1024 * 1024,
    });
    // Every notification that is under way waits on it.
    setMaxListeners(0, this.#closing.signal);
    this.#stopListening = this.#transport.onFrame((frame) => this.#hear(frame));
  }

  /** How many notifications have no ack yet. */
  get pending(): number {
    return this.#outbox.size;
  }

  on<E extends keyof NotifierEvents>(event: E, listener: (frame: NotifierEvents[E][0]) => void): this {
    this.#events.on(event, listener);
    return this;
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
    const message = error instanceof Error ? error.message : String(error);
    const type = about.error_type ?? (error instanceof Error ? error.constructor.name : 'Error');
    const data = { error: message.slice(0, 10_000), error_type: type, retryable };
    return this.#notify({ event: 'task_failed', ...this.#envelope(about), data });
  }

  /** Resolves once everything is acknowledged, or `signal` fires. */
  async drain({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const aborted = new Promise<void>((resolve) =>
      signal?.addEventListener('abort', () => resolve(), { once: true }),
    );
    for (;;) {
      if (this.#outbox.size === 0 || signal?.aborted === true) return;
      await Promise.race([Promise.allSettled(this.#outbox.entries().map((entry) => entry.acked)), aborted]);
    }
  }

  /** Ends it; what has no ack yet is rejected with `not_running`. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#stopListening();
    for (const entry of this.#outbox.entries()) {
      this.#outbox.remove(entry);
      entry.reject(new OrchestratorError('not_running', `the notifier of ${this.serviceName} was closed`));
    }
    await this.#transport.close();
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

  async #deliver(notification: TaskNotification): Promise<Ack> {
    if (this.#closing.signal.aborted) {
      throw new OrchestratorError('not_running', `the notifier of ${this.serviceName} is closed`);
    }
    const outgoing: OutgoingNotification = {
      ...notification,
      timestamp: new Date().toISOString(),
      message_id: newToken(),
    };
    const bytes = Buffer.byteLength(JSON.stringify(outgoing));
    if (bytes > MAX_RESULT_BYTES) {
      throw new OrchestratorError(
        'payload_too_large',
        `expected at most ${MAX_RESULT_BYTES} bytes, got ${bytes}`,
      );
    }
    const entry = this.#outbox.put(outgoing, bytes);
    if (entry === 'full') {
      const { size, bytes: waiting } = this.#outbox;
      throw new OrchestratorError(
        'outbox_full',
        `${size} notifications (${waiting} bytes) wait for their ack`,
      );
    }
    this.#pump();
    return entry.acked;
  }

  #pump(): void {
    while (this.#underWay < this.#window && !this.#closing.signal.aborted) {
      const entry = this.#outbox.take();
      if (!entry) return;
      this.#underWay += 1;
      void this.#send(entry).finally(() => {
        this.#underWay -= 1;
        this.#pump();
      });
    }
  }

  async #send(entry: OutboxEntry): Promise<void> {
    const { signal } = this.#closing;
    try {
      const ack = await this.#transport.send(entry.notification, { signal });
      if (ack.outcome !== 'retry_later') {
        this.#outbox.remove(entry);
        entry.resolve(ack);
        return;
      }
      await delay(ack.retry_after_ms ?? 1_000, signal);
    } catch {
      // The link broke before the ack: the transport reconnects, and the hub knows repeats by their message id.
      await delay(100 + Math.random() * 900, signal);
    }
    this.#outbox.putBack(entry);
  }

  #hear(frame: HubFrame): void {
    if (frame.event === 'task_cancel') this.#events.emit('task_cancel', frame);
    else this.#events.emit('outcome', frame);
  }
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
