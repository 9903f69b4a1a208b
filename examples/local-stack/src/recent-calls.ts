import { createHash } from 'node:crypto';
import { OrchestratorError, type ServiceCall } from '@agent-orchestrator/core';

interface Remembered<T> {
  readonly fingerprint: string;
  readonly value: T;
  finishedAt: number | undefined;
}

export interface RecentCallsOptions {
  /** Retention of a finished call, ms. Default 10 minutes. */
  readonly keepMs?: number;
  /** Maximum of retained finished calls. Default 2,000. */
  readonly maxFinished?: number;
  readonly now?: () => number;
}

/**
 * Calls of a service by `call_id`, so that a repeated one does not run again. A call is open from `remember`
 * to `finish`; open calls are never forgotten, finished ones after their retention.
 */
export class RecentCalls<T> {
  readonly #calls = new Map<string, Remembered<T>>();
  readonly #keepMs: number;
  readonly #maxFinished: number;
  readonly #now: () => number;
  /** Keys of finished calls, oldest first. */
  readonly #finished = new Set<string>();

  constructor(options: RecentCallsOptions = {}) {
    this.#keepMs = options.keepMs ?? 10 * 60_000;
    this.#maxFinished = options.maxFinished ?? 2_000;
    this.#now = options.now ?? Date.now;
  }

  /** @throws {OrchestratorError} `idempotency_conflict` when the id was used for another operation or input. */
  find(call: ServiceCall): T | undefined {
    this.#forgetOld();
    const known = this.#calls.get(keyOf(call));
    if (known === undefined) return undefined;
    if (known.fingerprint !== fingerprintOf(call)) {
      const message = `call_id: expected the operation and input it was first used with, got others`;
      throw new OrchestratorError('idempotency_conflict', message);
    }
    return known.value;
  }

  remember(call: ServiceCall, value: T): void {
    this.#calls.set(keyOf(call), { fingerprint: fingerprintOf(call), value, finishedAt: undefined });
  }

  finish(call: ServiceCall): void {
    const key = keyOf(call);
    const known = this.#calls.get(key);
    if (known === undefined) return;
    known.finishedAt = this.#now();
    this.#finished.add(key);
    this.#forgetOld();
  }

  /** Afterwards a repeated call runs again. */
  forget(call: ServiceCall): void {
    this.#calls.delete(keyOf(call));
    this.#finished.delete(keyOf(call));
  }

  #forgetOld(): void {
    const oldest = this.#now() - this.#keepMs;
    for (const key of this.#finished) {
      const finishedAt = this.#calls.get(key)?.finishedAt ?? 0;
      if (this.#finished.size <= this.#maxFinished && finishedAt >= oldest) break;
      this.#finished.delete(key);
      this.#calls.delete(key);
    }
  }
}

function keyOf(call: ServiceCall): string {
  return `${call.tenant_id}/${call.call_id}`;
}

function fingerprintOf(call: ServiceCall): string {
  return createHash('sha256')
    .update(call.operation)
    .update('\n')
    .update(JSON.stringify(call.input))
    .digest('base64url');
}
