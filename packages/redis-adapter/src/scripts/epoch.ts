import { formatCursor, parseCursor } from '@agent-orchestrator/core';
import type { Reply } from './script-runner.js';

/** The epoch of a log that nothing was written to: its position 0 is before the first event of whatever comes. */
const NO_EPOCH = 'new';

/** A position of a tenant's log. */
export function cursorOf(epoch: string | null | undefined, seq: number): string {
  return formatCursor({ epoch: epoch ?? NO_EPOCH, seq });
}

/** The `seq` to go on from; `undefined` when the log can't go on from there. */
export function seqAfter(cursor: string, epoch: string | null, header: number): number | undefined {
  const parsed = parseCursor(cursor);
  if (!parsed || parsed.seq > header) return undefined;
  if (parsed.epoch === (epoch ?? NO_EPOCH) || (parsed.epoch === NO_EPOCH && parsed.seq === 0))
    return parsed.seq;
  return undefined;
}

/** So many tenants' epochs are remembered. */
const REMEMBERED = 10_000;

/**
 * The epochs of logs, as they were last seen. One that is no longer right costs whoever uses it a gap, nothing else: so
 * they are remembered where asking each time would cost too much, for as long as the connection is the same. Where all is
 * on one server, it is asked for its replication id once.
 */
export class Epochs {
  readonly #known = new Map<string, string>();
  /** What every epoch ends with. */
  #server: string | undefined;

  constructor(
    private readonly ports: {
      readonly ask: (tenantId: string) => Promise<Reply>;
      readonly isOneServer: boolean;
    },
  ) {}

  learn(tenantId: string, epoch: string | null): void {
    if (epoch === null) return;
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(tenantId, epoch);
  }

  /** Another server may answer from now on. */
  forget(): void {
    this.#known.clear();
    this.#server = undefined;
  }

  /** @param began when the log began, for whoever has just read it. */
  of(tenantId: string, began: string): string | Promise<string | null> {
    if (this.#server !== undefined) return began + this.#server;
    const known = this.#known.get(tenantId);
    return known?.startsWith(began) ? known : this.#askFor(tenantId, began);
  }

  async #askFor(tenantId: string, began: string): Promise<string | null> {
    const [, , , epoch] = (await this.ports.ask(tenantId)) as [Reply, Reply, Reply, string | null];
    this.learn(tenantId, epoch);
    if (this.ports.isOneServer && epoch?.startsWith(began)) this.#server = epoch.slice(began.length);
    return epoch;
  }
}
