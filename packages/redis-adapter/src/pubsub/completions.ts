import type { PubSubWakeups } from './wakeups.js';
import type { Keys } from '../server/keys.js';

type Follower = (message: string) => void;

/**
 * Whoever waits in this process for tasks of a tenant to end. The process has one channel for all of them, on which what is
 * said begins with the tenant: so the next tenant costs no subscription, and is followed from its first read on.
 */
export class CompletionsChannel {
  /** Names this process where a tenant keeps who waits. */
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

  /** Whether somebody waits here at all. */
  get isFollowed(): boolean {
    return this.#followers.size > 0;
  }

  /** The same as `PubSubWakeups.follow`, for what is said of a tenant. */
  follow(tenantId: string, follower: Follower): () => void {
    const followers = this.#followers.get(tenantId) ?? new Set();
    this.#followers.set(tenantId, followers.add(follower));
    this.#unsubscribe ??= this.wakeups.follow(this.keys.wakeups(this.process), (message) =>
      this.#hear(message),
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

  #hear(message: string): void {
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
