import { formatCursor, parseCursor } from '@agent-orchestrator/core/protocol';
import type { Reply } from './script-runner.js';

/** Epoch of an empty log: its position 0 is before the first event of any later log. */
const NO_EPOCH = 'new';

/** A position of a tenant's log. */
export function cursorOf(epoch: string | null | undefined, seq: number): string {
  return formatCursor({ epoch: epoch ?? NO_EPOCH, seq });
}

/** The `seq` to resume from; `undefined` when the log cannot resume there. */
export function seqAfter(cursor: string, epoch: string | null, head: number): number | undefined {
  const parsed = parseCursor(cursor);
  if (!parsed || parsed.seq > head) return undefined;
  if (parsed.epoch === (epoch ?? NO_EPOCH) || (parsed.epoch === NO_EPOCH && parsed.seq === 0))
    return parsed.seq;
  return undefined;
}

/** Maximum of cached epochs. */
const MAX_CACHED = 10_000;

/**
 * Cache of the logs' epochs, for the lifetime of a connection. An outdated epoch costs its user a gap and
 * nothing else, so they are cached where a request each time would cost too much. A single server is asked
 * for its replication id once.
 */
export class Epochs {
  readonly #known = new Map<string, string>();
  /** Common end of every epoch. */
  #server: string | undefined;

  constructor(
    private readonly ports: {
      readonly fetch: (tenantId: string) => Promise<Reply>;
      readonly isOneServer: boolean;
    },
  ) {}

  learn(tenantId: string, epoch: string | null): void {
    if (epoch === null) return;
    if (this.#known.size >= MAX_CACHED) this.#known.clear();
    this.#known.set(tenantId, epoch);
  }

  /** Another server may answer from now on. */
  forget(): void {
    this.#known.clear();
    this.#server = undefined;
  }

  /** @param epochStart creation time of the log, as just read. */
  of(tenantId: string, epochStart: string): string | Promise<string | null> {
    if (this.#server !== undefined) return epochStart + this.#server;
    const known = this.#known.get(tenantId);
    return known?.startsWith(epochStart) ? known : this.#fetch(tenantId, epochStart);
  }

  async #fetch(tenantId: string, epochStart: string): Promise<string | null> {
    const [, , , epoch] = (await this.ports.fetch(tenantId)) as [Reply, Reply, Reply, string | null];
    this.learn(tenantId, epoch);
    if (this.ports.isOneServer && epoch?.startsWith(epochStart))
      this.#server = epoch.slice(epochStart.length);
    return epoch;
  }
}
