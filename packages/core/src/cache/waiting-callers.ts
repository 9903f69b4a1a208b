import type { Clock } from '../runtime/clock.js';
import { WakeSignal } from '../runtime/wake-signal.js';
import type { Wakeups } from '../storage/wakeups.js';

/** Of the callers that wait for one entry, one polls the storage, and the others so much less often. */
const POLLS_OF_OTHERS = 10;

interface Waiting {
  callers: number;
  hasPoller: boolean;
  /** Number of wakeups so far: one may come between the look at the storage and the wait. */
  wakeups: number;
  readonly signal: WakeSignal;
}

/** Callers of this process that may wait for computations of other processes, by entry. */
export class WaitingCallers {
  readonly #entries = new Map<string, Waiting>();
  #unsubscribe: (() => void) | undefined;

  constructor(
    private readonly ports: {
      readonly wakeups: Wakeups;
      readonly clock: Clock;
      readonly pollMs: number;
    },
  ) {}

  /** An entry has changed in this process. */
  wake(tenantId: string, digest: string): void {
    wake(this.#entries.get(keyOf(tenantId, digest)));
  }

  /** A caller that looks at the entry from now on, until it leaves. */
  enter(tenantId: string, digest: string): WaitingCaller {
    this.#unsubscribe ??= this.ports.wakeups.subscribe((wakeup) => {
      if (wakeup.kind === 'cached') this.wake(wakeup.tenantId, wakeup.digest);
    });
    const key = keyOf(tenantId, digest);
    const entry = this.#entries.get(key) ?? {
      callers: 0,
      hasPoller: false,
      wakeups: 0,
      signal: new WakeSignal(),
    };
    this.#entries.set(key, entry);
    entry.callers += 1;
    return new WaitingCaller(entry, this.ports, () => {
      entry.callers -= 1;
      if (entry.callers > 0) return;
      this.#entries.delete(key);
      if (this.#entries.size > 0) return;
      this.#unsubscribe?.();
      this.#unsubscribe = undefined;
    });
  }
}

/** One caller of an entry. */
export class WaitingCaller {
  #seen: number;
  #hasWaited = false;

  constructor(
    private readonly entry: Waiting,
    private readonly ports: { readonly clock: Clock; readonly pollMs: number },
    private readonly onLeave: () => void,
  ) {
    this.#seen = entry.wakeups;
  }

  /** Waits for a wakeup since the last wait, for its turn to poll, or until `limitMs` are over or `signal` fires. */
  async wait(limitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { entry } = this;
    const { clock, pollMs } = this.ports;
    this.#hasWaited = true;
    if (this.#seen === entry.wakeups) {
      const isPoller = !entry.hasPoller;
      if (isPoller) entry.hasPoller = true;
      const atMost = isPoller ? pollMs : POLLS_OF_OTHERS * pollMs;
      await entry.signal.wait({ clock, limitMs: Math.max(1, Math.min(limitMs, atMost)), signal });
      if (isPoller) entry.hasPoller = false;
    }
    this.#seen = entry.wakeups;
  }

  /** The others look at the storage too. */
  wakeOthers(): void {
    wake(this.entry);
    this.#seen = this.entry.wakeups;
  }

  /** What has ended the wait concerns the others too. */
  leave(): void {
    if (this.#hasWaited && this.entry.callers > 1) this.wakeOthers();
    this.onLeave();
  }
}

function wake(entry: Waiting | undefined): void {
  if (!entry) return;
  entry.wakeups += 1;
  entry.signal.notify();
}

function keyOf(tenantId: string, digest: string): string {
  return `${tenantId} ${digest}`;
}
