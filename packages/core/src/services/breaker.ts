import type { Clock } from '../runtime/clock.js';

export interface BreakerOptions {
  /** Consecutive failures that open it. Default 10. */
  readonly failures?: number;
  /** Time in the open state before a probe, ms. Default 5 s. */
  readonly openMs?: number;
  /** Called each time it opens, but not after a failed probe. */
  readonly onOpen?: () => void;
}

/**
 * Circuit breaker. `closed`: calls pass. `open`: calls are rejected. `half_open`, after `openMs`: one call passes as a probe; its
 * outcome closes or opens the breaker.
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

  /** Time until the next probe, ms; 0 unless open. */
  get waitMs(): number {
    if (this.#failures < this.#maxFailures) return 0;
    return Math.max(0, this.#openedAt + this.#openMs - this.clock.now());
  }

  /** Whether a call may pass now. A caller that passes reports its outcome by `succeeded`, `failed` or `abandoned`. */
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

  /** The call was cancelled or gave no information. */
  abandoned(): void {
    this.#probing = false;
  }
}
