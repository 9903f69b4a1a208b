import type { PubSubWakeups } from './wakeups.js';
import type { Keys } from '../server/keys.js';

type Follower = (message: string) => void;

/**
 * Completions for the waiters of this process: one channel for all tenants, whose messages begin with the
 * tenant. So a further tenant costs no subscription, and is followed from its first read on.
 */
export class CompletionsChannel {
  /** Id of this process among a tenant's waiting processes. */
  readonly process = crypto.randomUUID();
  readonly #followers = new Map<string, Set<Follower>>();
  #unsubscribe: (() => void) | undefined;

  constructor(
    private readonly wakeups: PubSubWakeups,
    private readonly keys: Keys,
  ) {}

  get connectionEpoch(): number {
    return this.wakeups.connectionEpoch;
  }

  /** Whether this process has a waiter. */
  get isFollowed(): boolean {
    return this.#followers.size > 0;
  }

  /** Like `PubSubWakeups.follow`, for the messages of a tenant. */
  follow(tenantId: string, follower: Follower): () => void {
    const followers = this.#followers.get(tenantId) ?? new Set();
    this.#followers.set(tenantId, followers.add(follower));
    this.#unsubscribe ??= this.wakeups.follow(this.keys.wakeups(this.process), (message) =>
      this.#receive(message),
    );
    return () => {
      followers.delete(follower);
      if (followers.size > 0) return;
      this.#followers.delete(tenantId);
      if (this.isFollowed) return;
      this.#unsubscribe?.();
      this.#unsubscribe = undefined;
    };
  }

  #receive(message: string): void {
    if (message === '') {
      for (const followers of this.#followers.values()) publish(followers, '');
      return;
    }
    const end = message.indexOf(' ');
    const followers = this.#followers.get(message.slice(0, end));
    if (followers) publish(followers, message.slice(end + 1));
  }
}

function publish(followers: Iterable<Follower>, message: string): void {
  for (const follower of followers) follower(message);
}
