import type { Clock } from '@agent-orchestrator/core';
import type { PubSubWakeups } from '../pubsub/wakeups.js';

/** A task handed over to a waiting claim. */
export interface Handover {
  /** Time of the handover, epoch ms. */
  readonly at: number;
  /** End of its lease, epoch ms. */
  readonly expires: number;
  readonly tenantId: string;
  readonly version: number;
  readonly taskId: string;
  readonly record: string;
}

/** `claim`: a task may be ready. `timeout`: the wait is over. */
type Outcome = Handover | 'claim' | 'timeout';

/**
 * Waits for an empty claim: for a task handover, a wakeup (also when the message of a handover was lost) or
 * the end of the wait. Subscribed from before the claim until `unsubscribe`.
 */
export class WaitingClaim {
  #outcome: Outcome | undefined;
  #wake: () => void = () => {};
  readonly #subscriptions: (() => void)[];

  constructor(
    { wakeups, timers }: { readonly wakeups: PubSubWakeups; readonly timers: Clock },
    claimId: string,
    waitMs: number,
    signal: AbortSignal | undefined,
  ) {
    const onTimeout = () => this.#settle('timeout');
    signal?.addEventListener('abort', onTimeout, { once: true });
    this.#subscriptions = [
      timers.after(waitMs, onTimeout),
      () => signal?.removeEventListener('abort', onTimeout),
      wakeups.expectHandover(claimId, (message) => this.#settle(parseHandover(message) ?? 'claim')),
      wakeups.subscribe(({ kind }) => kind === 'ready' && this.#settle('claim')),
    ];
  }

  /** The next event, or the one that has arrived already. */
  async next(): Promise<Outcome> {
    if (this.#outcome === undefined)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    const outcome = this.#outcome ?? 'timeout';
    if (outcome === 'claim') this.#outcome = undefined;
    return outcome;
  }

  /** The claim that follows covers everything published before. */
  forgetWakeups(): void {
    if (this.#outcome === 'claim') this.#outcome = undefined;
  }

  unsubscribe(): void {
    for (const unsubscribe of this.#subscriptions) unsubscribe();
  }

  /** A handover is never replaced by another event. */
  #settle(outcome: Outcome): void {
    if (typeof this.#outcome === 'object' || (outcome === 'claim' && this.#outcome === 'timeout')) return;
    this.#outcome = outcome;
    this.#wake();
  }
}

/** `undefined` when the task was too large for the message. */
function parseHandover(message: string): Handover | undefined {
  const end = message.indexOf('\n');
  if (end < 0) return undefined;
  const [at, expires, tenantId = '', version, taskId = ''] = message.slice(0, end).split(' ');
  const record = message.slice(end + 1);
  return { at: Number(at), expires: Number(expires), tenantId, version: Number(version), taskId, record };
}
