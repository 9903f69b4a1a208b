import type { TaskCancel } from '@agent-orchestrator/core/protocol';
import type { Clock } from '@agent-orchestrator/core';
import { every, type Wakeup } from '@agent-orchestrator/core/storage';
import type { Cluster, Redis } from 'ioredis';
import type { Keys } from '../server/keys.js';

/** Published by scripts on the channel of all wakeups when the work of a service is no longer needed. */
interface CancelledCall {
  readonly service: string;
  readonly call: string;
  readonly job: string;
  readonly task: string;
  readonly tenant: string;
  readonly reason: string;
}

type Follower = (message: string) => void;

const REPEAT_MS = 200;
const HANDOVER = 'claimed ';

/**
 * Wakeups of this process and those of pub/sub. They are hints: a lost one is made up for by a periodic
 * check.
 */
export class PubSubWakeups {
  readonly #listeners = new Set<(wakeup: Wakeup) => void>();
  readonly #followers = new Map<string, Set<Follower>>();
  readonly #subscriber: Redis | Cluster;
  readonly #keys: Keys;
  readonly #clock: Clock;
  readonly #channels = new Set<string>();
  readonly #workers = new Set<string>();
  /** By claim id: receiver of a task handover. */
  readonly #handovers = new Map<string, (message: string) => void>();
  #connectionEpoch = 0;

  /** @param subscriber a connection of its own: a subscribed one takes no other commands. */
  constructor(subscriber: Redis | Cluster, keys: Keys, clock: Clock) {
    this.#subscriber = subscriber;
    this.#keys = keys;
    this.#clock = clock;
    subscriber.on('message', (channel: string, message: string) => this.#receive(channel, message));
    void this.#subscribe(keys.wakeups());
  }

  /**
   * Identifies this connection and the one for commands: another number means that one of them was lost in
   * between.
   */
  get connectionEpoch(): number {
    return this.#connectionEpoch;
  }

  /** Call when a connection is lost: later messages may come from another server. */
  connectionLost(): void {
    this.#connectionEpoch += 1;
  }

  subscribe(listener: (wakeup: Wakeup) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Subscribes to the wakeups of a worker, and to those for all workers: a process without workers needs
   * none.
   */
  addWorker(workerId: string): void {
    this.#workers.add(workerId);
    void this.#subscribe(this.#keys.wakeups(workerId));
    const ready = this.#keys.wakeups('ready');
    if (!this.#channels.has(ready)) void this.#subscribe(ready).then(() => this.publish({ kind: 'ready' }));
  }

  removeWorker(workerId: string): void {
    this.#workers.delete(workerId);
    this.#unsubscribe(this.#keys.wakeups(workerId));
    if (this.#workers.size === 0) this.#unsubscribe(this.#keys.wakeups('ready'));
  }

  /**
   * Calls `follower` with each message of a channel, and with '' when messages may have been lost: also once
   * the subscription is active, which may take as long as the server is away.
   */
  follow(channel: string, follower: Follower): () => void {
    const followers = this.#followers.get(channel) ?? new Set();
    this.#followers.set(channel, followers.add(follower));
    void this.#subscribe(channel);
    return () => {
      followers.delete(follower);
      if (followers.size > 0) return;
      this.#followers.delete(channel);
      this.#unsubscribe(channel);
    };
  }

  /** Calls `take` with the message of a task handed over to this claim. */
  expectHandover(claimId: string, take: (message: string) => void): () => void {
    this.#handovers.set(claimId, take);
    return () => this.#handovers.delete(claimId);
  }

  /** Resolves once everything published before has arrived here, by way of each of the servers. */
  async settled(servers: readonly Redis[]): Promise<void> {
    const channel = this.#keys.wakeups(`settled:${crypto.randomUUID()}`);
    const missing = new Set(servers.keys());
    let stopSending = () => {};
    let unsubscribe = () => {};
    try {
      await new Promise<void>((resolve, reject) => {
        // A message lost between servers is published again.
        const send = () => {
          for (const at of missing) servers[at]?.publish(channel, String(at)).catch(reject);
        };
        stopSending = every(this.#clock, REPEAT_MS, send);
        unsubscribe = this.follow(channel, (message) => {
          if (message === '') send();
          else missing.delete(Number(message));
          if (missing.size === 0) resolve();
        });
      });
    } finally {
      stopSending();
      unsubscribe();
    }
  }

  publish(wakeup: Wakeup): void {
    for (const listener of this.#listeners) listener(wakeup);
  }

  /** The connection is ready, perhaps again: messages published meanwhile are lost, so all waiters check. */
  resubscribe(): void {
    // A failed subscription is repeated when the connection is ready the next time.
    this.#subscriber.subscribe(...this.#channels).then(
      () => this.recheckLogs(),
      () => undefined,
    );
    this.publish({ kind: 'ready' });
  }

  /** Makes all followers check their log. */
  recheckLogs(): void {
    for (const channel of this.#followers.keys()) this.#notifyFollowers(channel);
  }

  #notifyFollowers(channel: string): void {
    for (const follower of this.#followers.get(channel) ?? []) follower('');
  }

  #subscribe(channel: string): Promise<unknown> {
    if (this.#channels.has(channel)) return Promise.resolve();
    this.#channels.add(channel);
    return this.#subscriber.subscribe(channel).then(
      () => this.#notifyFollowers(channel),
      () => this.#channels.delete(channel),
    );
  }

  #unsubscribe(channel: string): void {
    if (!this.#channels.delete(channel)) return;
    this.#subscriber.unsubscribe(channel).catch(() => undefined);
  }

  #receive(channel: string, message: string): void {
    const followers = this.#followers.get(channel);
    if (followers) {
      for (const follower of followers) follower(message);
    } else if (message === 'ready') {
      this.publish({ kind: 'ready' });
    } else if (message.startsWith(HANDOVER)) {
      const end = message.indexOf(' ', HANDOVER.length);
      this.#handovers.get(message.slice(HANDOVER.length, end))?.(message.slice(end + 1));
    } else if (message.startsWith('task ')) {
      const [, tenantId = '', taskId = ''] = message.split(' ');
      this.publish({ kind: 'task', tenantId, taskId });
    } else if (message.startsWith('cached ')) {
      const [, tenantId = '', digest = ''] = message.split(' ');
      this.publish({ kind: 'cached', tenantId, digest });
    } else if (message.startsWith('call ')) {
      const { service, call, job, task, tenant, reason } = JSON.parse(message.slice(5)) as CancelledCall;
      const frame: TaskCancel = {
        event: 'task_cancel',
        task_id: job,
        call_id: call,
        global_task_id: task,
        tenant_id: tenant,
        reason,
      };
      this.publish({ kind: 'call_cancelled', service, frame });
    }
  }
}
