import type { Wakeup, TaskCancel } from '@agent-orchestrator/core';
import type { Cluster, Redis } from 'ioredis';
import type { Keys } from '../server/keys.js';

/** What a script says on the channel of all wakeups when a service works for nothing. */
interface CancelledCall {
  readonly service: string;
  readonly call: string;
  readonly job: string;
  readonly task: string;
  readonly tenant: string;
  readonly reason: string;
}

type Follower = (message: string) => void;

const SAID_AGAIN_MS = 200;
const HANDED = 'claimed ';

/**
 * Wakeups of this process, and those that come over pub/sub. They are hints: one that is lost while the connection is away
 * is made up for by whoever looks now and then.
 */
export class PubSubWakeups {
  readonly #listeners = new Set<(wakeup: Wakeup) => void>();
  readonly #followers = new Map<string, Set<Follower>>();
  readonly #subscriber: Redis | Cluster;
  readonly #keys: Keys;
  readonly #channels = new Set<string>();
  readonly #workers = new Set<string>();
  /** By claim id: who waits to be handed a task. */
  readonly #handed = new Map<string, (told: string) => void>();
  #connectionEpoch = 0;

  /** @param subscriber a connection of its own: one that listens can do nothing else. */
  constructor(subscriber: Redis | Cluster, keys: Keys) {
    this.#subscriber = subscriber;
    this.#keys = keys;
    subscriber.on('message', (channel: string, message: string) => this.#hear(channel, message));
    void this.#subscribe(keys.wakeups());
  }

  /** Names the connections, of this one and for commands: another number means that one of them was lost in between. */
  get connectionEpoch(): number {
    return this.#connectionEpoch;
  }

  /** A connection is lost. What is heard from now on may come from another server. */
  connectionLost(): void {
    this.#connectionEpoch += 1;
  }

  subscribe(listener: (wakeup: Wakeup) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Hears what is published for a worker of this process, and for all workers: who runs nothing needs not hear of work. */
  attend(workerId: string): void {
    this.#workers.add(workerId);
    void this.#subscribe(this.#keys.wakeups(workerId));
    const ready = this.#keys.wakeups('ready');
    if (!this.#channels.has(ready)) void this.#subscribe(ready).then(() => this.publish({ kind: 'ready' }));
  }

  leave(workerId: string): void {
    this.#workers.delete(workerId);
    this.#unsubscribe(this.#keys.wakeups(workerId));
    if (this.#workers.size === 0) this.#unsubscribe(this.#keys.wakeups('ready'));
  }

  /**
   * Calls `follower` with what is said on a channel, and with nothing when something may have been missed: also once it
   * listens, which may take as long as the server is away.
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

  /** Calls `take` with what is told of a task that is handed to a claim of a worker of this process. */
  expectHanded(claimId: string, take: (told: string) => void): () => void {
    this.#handed.set(claimId, take);
    return () => this.#handed.delete(claimId);
  }

  /** Resolves once everything that was published before has arrived here, by way of each of the servers. */
  async settled(servers: readonly Redis[]): Promise<void> {
    const channel = this.#keys.wakeups(`settled:${crypto.randomUUID()}`);
    const missing = new Set(servers.keys());
    await new Promise<void>((resolve, reject) => {
      // A message that is lost between servers is said again.
      const say = () => {
        for (const at of missing) servers[at]?.publish(channel, String(at)).catch(reject);
      };
      const saying = setInterval(say, SAID_AGAIN_MS);
      const unsubscribe = this.follow(channel, (message) => {
        if (message === '') say();
        else missing.delete(Number(message));
        if (missing.size > 0) return;
        clearInterval(saying);
        unsubscribe();
        resolve();
      });
    });
  }

  publish(wakeup: Wakeup): void {
    for (const listener of this.#listeners) listener(wakeup);
  }

  /** The connection is there, perhaps again: what was published while it was away is lost, and whoever waits looks for itself. */
  listenAgain(): void {
    // What can't be listened to now is listened to when the connection is ready for the next time.
    this.#subscriber.subscribe(...this.#channels).then(
      () => this.lookAgain(),
      () => undefined,
    );
    this.publish({ kind: 'ready' });
  }

  /** Whoever follows is to look for itself. */
  lookAgain(): void {
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

  #hear(channel: string, message: string): void {
    const followers = this.#followers.get(channel);
    if (followers) {
      for (const follower of followers) follower(message);
    } else if (message === 'ready') {
      this.publish({ kind: 'ready' });
    } else if (message.startsWith(HANDED)) {
      const end = message.indexOf(' ', HANDED.length);
      this.#handed.get(message.slice(HANDED.length, end))?.(message.slice(end + 1));
    } else if (message.startsWith('task ')) {
      const [, tenantId = '', taskId = ''] = message.split(' ');
      this.publish({ kind: 'task', tenantId, taskId });
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
