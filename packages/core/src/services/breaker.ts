import type { Clock } from '../runtime/clock.js';

export interface BreakerOptions {
  /** So many failures in a row open it. Default 10. */
  readonly failures?: number;
  /** How long it stays open before one call may try. Default 5 s. */
  readonly openMs?: number;
  /** Called each time it opens, but not when it stays open after a try. */
  readonly onOpen?: () => void;
}

/**
 * Spares a service that is down. `closed`: calls pass. `open`: none does. After `openMs` it is half open: one call
 * passes, and its outcome closes or opens it.
 */
export class Breaker {
  readonly #maxFailures: number;
  readonly #openMs: number;
  readonly #onOpen: () => void;
  #failures = 0;
  #openedAt = 0;
  #probing = false;

  constructor(
    private readonly clock: Clock,
    { failures = 10, openMs = 5_000, onOpen = () => {} }: BreakerOptions = {},
  ) {
    this.#maxFailures = failures;
    this.#openMs = openMs;
    this.#onOpen = onOpen;
  }

  get state(): 'closed' | 'open' | 'half_open' {
    if (this.#failures < this.#maxFailures) return 'closed';
    return this.waitMs > 0 ? 'open' : 'half_open';
  }

  /** How long nothing passes; 0 when something may. */
  get waitMs(): number {
    if (this.#failures < this.#maxFailures) return 0;
    return Math.max(0, this.#openedAt + this.#openMs - this.clock.now());
  }

  /** Whether a call may pass now. Whoever passes reports back with `succeeded`, `failed` or `gaveUp`. */
  tryPass(): boolean {
    const { state } = this;
    if (state === 'closed') return true;
    if (state === 'open' || this.#probing) return false;
    this.#probing = true;
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#probing = false;
  }

  failed(): void {
    this.#failures += 1;
    this.#probing = false;
    if (this.#failures >= this.#maxFailures) this.#openedAt = this.clock.now();
    if (this.#failures === this.#maxFailures) this.#onOpen();
  }

  /** Neither: nobody waited for the outcome any more. */
  gaveUp(): void {
    this.#probing = false;
  }
}
