import type { Clock } from '../runtime/clock.js';
import type { Hooks } from '../runtime/hooks.js';
import type { Logger } from '../runtime/logger.js';
import type { Random } from '../runtime/random.js';
import { isUnavailable, untilAvailable } from '../runtime/until-available.js';
import { diagnose, messageOf } from '../protocol/thrown.js';
import type { Storage } from '../storage/storage.js';
import type { Claim, Settlement, SettleResult } from '../storage/task-queue.js';
import { SettleRequest } from './settle-request.js';

/**
 * Settles tasks, and logs failures. Retries while the storage is unavailable, for up to the lease duration. Replaces an outcome
 * that the storage rejects permanently by a failure.
 */
export class Settler {
  constructor(
    private readonly ports: {
      readonly storage: Storage;
      readonly clock: Clock;
      readonly random: Random;
      readonly logger: Logger;
      readonly hooks: Hooks;
    },
    private readonly worker: { readonly workerId: string; readonly leaseMs: number },
  ) {}

  /**
   * Never rejects: a task that can't be settled is claimed again once its lease expires.
   * @param stopped aborted once the worker has stopped: ends retries.
   */
  async settle(claim: Claim, settlement: Settlement, stopped: AbortSignal): Promise<void> {
    const until = this.ports.clock.now() + this.worker.leaseMs;
    try {
      await this.#storeUntil(claim, settlement, stopped, until);
    } catch (error) {
      this.#report(claim, error);
      if (isUnavailable(error) || stopped.aborted || this.ports.clock.now() > until) return;
      await this.#storeUntil(claim, notStored(error), stopped, until).catch((again: unknown) =>
        this.#report(claim, again),
      );
    }
  }

  #storeUntil(claim: Claim, settlement: Settlement, signal: AbortSignal, until: number): Promise<void> {
    const { clock, random } = this.ports;
    const onRetry = (error: unknown) => this.#report(claim, error);
    return untilAvailable(
      () => this.#store(claim, settlement),
      () => ({ clock, random, signal, until, onRetry }),
    );
  }

  #report(claim: Claim, error: unknown): void {
    this.ports.logger.error('worker: settle failed', { ...this.#idsOf(claim), error: messageOf(error) });
  }

  async #store(claim: Claim, settlement: Settlement): Promise<void> {
    const answer = await this.ports.storage.queue.settle(new SettleRequest(claim, settlement));
    this.#log(claim, settlement, answer);
    this.#emit(claim, settlement, answer);
  }

  #emit({ task }: Claim, settlement: Settlement, answer: SettleResult): void {
    const outcome = endOf(settlement, answer);
    if (!outcome || !this.ports.hooks.has('taskEnded')) return;
    const { tenant_id: tenantId, task_id: taskId, type, attempt } = task;
    const error = 'error' in settlement ? { error: settlement.error } : {};
    this.ports.hooks.emit('taskEnded', { tenantId, taskId, type, attempt, outcome, ...error });
  }

  #log(claim: Claim, settlement: Settlement, answer: SettleResult): void {
    const { kind } = settlement;
    if (kind !== 'failed' && kind !== 'retry') return;
    if (answer !== 'settled' && answer !== 'exhausted') return;
    const { error, diagnostic } = settlement;
    const { type, attempt } = claim.task;
    const { code, message } = error;
    const fields = { ...this.#idsOf(claim), type, attempt, code };
    const { message: thrown = message, ...more } = diagnostic ?? {};
    const all = { ...fields, error: thrown, ...more };
    if (kind === 'failed' || answer === 'exhausted') this.ports.logger.error('task failed', all);
    else this.ports.logger.warn('task attempt failed', all);
  }

  #idsOf({ task }: Claim) {
    const { tenant_id: tenantId, task_id: taskId, session_id: sessionId } = task;
    return {
      tenantId,
      taskId,
      ...(sessionId !== undefined && { sessionId }),
      workerId: this.worker.workerId,
    };
  }
}

/** How a settlement has ended its task; `undefined` if it goes on. */
function endOf({ kind }: Settlement, answer: SettleResult): 'completed' | 'failed' | 'cancelled' | undefined {
  if (answer === 'exhausted') return 'failed';
  if (answer !== 'settled' || kind === 'retry' || kind === 'parked' || kind === 'released') return undefined;
  return kind;
}

function notStored(thrown: unknown): Settlement {
  const message = 'the outcome of the task could not be stored; operators find the reason with the task';
  return {
    kind: 'failed',
    error: { code: 'internal_error', message, retryable: false },
    diagnostic: diagnose(thrown),
  };
}
