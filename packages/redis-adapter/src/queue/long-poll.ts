import type { PubSubWakeups } from '../pubsub/wakeups.js';

/** A task that was handed to a claim that waits. */
export interface Handed {
  /** When it was, in milliseconds since 1970. */
  readonly at: number;
  /** When its lease ends. */
  readonly expires: number;
  readonly tenantId: string;
  readonly version: number;
  readonly taskId: string;
  /** What it is made of. */
  readonly record: string;
}

/** `ask`: there may be something to claim. `over`: the wait is. */
type Came = Handed | 'ask' | 'over';

/**
 * Listens for what comes to a claim that found nothing: a task that is handed to it; a wakeup, which may be all that is heard
 * of such a task; the end of the wait. It listens from before the claim is asked for until `unsubscribe`.
 */
export class WaitingClaim {
  #came: Came | undefined;
  #wake: () => void = () => {};
  readonly #subscriptions: (() => void)[];

  constructor(wakeups: PubSubWakeups, claimId: string, waitMs: number, signal: AbortSignal | undefined) {
    const over = () => this.#comes('over');
    const timer = setTimeout(over, waitMs);
    signal?.addEventListener('abort', over, { once: true });
    this.#subscriptions = [
      () => clearTimeout(timer),
      () => signal?.removeEventListener('abort', over),
      wakeups.expectHanded(claimId, (told) => this.#comes(handedOf(told) ?? 'ask')),
      wakeups.subscribe(({ kind }) => kind === 'ready' && this.#comes('ask')),
    ];
  }

  /** The next thing that comes, or has come. */
  async next(): Promise<Came> {
    if (this.#came === undefined)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    const came = this.#came ?? 'over';
    if (came === 'ask') this.#came = undefined;
    return came;
  }

  /** What was published before the claim is asked for is in its answer. */
  forgetWakeups(): void {
    if (this.#came === 'ask') this.#came = undefined;
  }

  unsubscribe(): void {
    for (const unsubscribe of this.#subscriptions) unsubscribe();
  }

  /** A task that has come is not forgotten for anything else. */
  #comes(came: Came): void {
    if (typeof this.#came === 'object' || (came === 'ask' && this.#came === 'over')) return;
    this.#came = came;
    this.#wake();
  }
}

/** `undefined` when it was too large to be told. */
function handedOf(told: string): Handed | undefined {
  const end = told.indexOf('\n');
  if (end < 0) return undefined;
  const [at, expires, tenantId = '', version, taskId = ''] = told.slice(0, end).split(' ');
  const record = told.slice(end + 1);
  return { at: Number(at), expires: Number(expires), tenantId, version: Number(version), taskId, record };
}
