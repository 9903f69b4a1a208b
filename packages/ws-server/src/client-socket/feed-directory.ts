import type { Orchestrator } from '@agent-orchestrator/core';
import { type FeedPorts, TenantFeed } from './tenant-feed.js';

interface Shared {
  readonly feed: TenantFeed;
  users: number;
}

/** Feeds of this process: one for each tenant with a client. */
export class FeedDirectory {
  readonly #orchestrator: Orchestrator;
  readonly #ports: FeedPorts;
  readonly #feeds = new Map<string, Shared>();

  constructor(orchestrator: Orchestrator, ports: FeedPorts) {
    this.#orchestrator = orchestrator;
    this.#ports = ports;
  }

  /** The tenant's feed, started by the first user and stopped by the last release. */
  acquire(tenantId: string): { readonly feed: TenantFeed; readonly release: () => void } {
    const shared = this.#feeds.get(tenantId) ?? {
      feed: new TenantFeed(this.#orchestrator.tenant(tenantId), this.#ports),
      users: 0,
    };
    shared.users += 1;
    this.#feeds.set(tenantId, shared);
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      shared.users -= 1;
      if (shared.users > 0) return;
      shared.feed.stop();
      if (this.#feeds.get(tenantId) === shared) this.#feeds.delete(tenantId);
    };
    return { feed: shared.feed, release };
  }

  /** Stops all feeds. */
  async stop(): Promise<void> {
    const feeds = [...this.#feeds.values()].map((shared) => shared.feed);
    this.#feeds.clear();
    for (const feed of feeds) feed.stop();
    await Promise.all(feeds.map((feed) => feed.ended));
  }
}
