import type { Clock } from '../runtime/clock.js';
import type { Storage } from '../storage/storage.js';
import type { Claim, Runnable } from '../storage/task-queue.js';
import type { ClaimRequest } from './claims-in-flight.js';

interface Asking {
  /** Whether nothing is run: only then may the storage wait for a task, since it comes to a worker that can begin it. */
  readonly isIdle: boolean;
  /** Fires when the worker stops. */
  readonly signal: AbortSignal;
}

/** Asks the storage for tasks, and learns whether it waits for some where there are none. */
export class ClaimCaller {
  #asked = 0;
  #claimed = 0;
  #lastAt = 0;
  #storageWaits = true;
  #waitedInVain = false;

  constructor(
    private readonly ports: { readonly storage: Storage; readonly clock: Clock },
    private readonly worker: {
      readonly workerId: string;
      readonly leaseMs: number;
      readonly waitMs: number;
      runs(): readonly Runnable[];
    },
  ) {}

  get asked(): number {
    return this.#asked;
  }

  get claimed(): number {
    return this.#claimed;
  }

  /** When the last one was answered, or `begin` was called. */
  get lastAt(): number {
    return this.#lastAt;
  }

  /** Until it is journalRev that it does not. */
  get storageWaits(): boolean {
    return this.#storageWaits;
  }

  /** Whether the last claim got nothing, but waited for it: the next one may follow at once. */
  get waitedInVain(): boolean {
    return this.#waitedInVain;
  }

  begin(): void {
    this.#lastAt = this.ports.clock.now();
    this.#storageWaits = true;
  }

  async ask(claim: ClaimRequest, { isIdle, signal }: Asking): Promise<readonly Claim[]> {
    const { clock, storage } = this.ports;
    const { workerId, leaseMs, waitMs } = this.worker;
    const mayWait = isIdle && this.#storageWaits;
    const params = { ...claim, workerId, runs: this.worker.runs(), leaseMs };
    const began = clock.now();
    this.#asked += 1;
    this.#waitedInVain = false;
    const claims = await storage.queue.claim({ ...params, ...(mayWait && { waitMs, signal }) });
    this.#claimed += claims.length;
    this.#lastAt = clock.now();
    if (mayWait && claims.length === 0 && !signal.aborted)
      this.#storageWaits = this.#waitedInVain = this.#lastAt - began >= waitMs / 2;
    return claims;
  }
}
