import type { Logger } from '../runtime/logger.js';
import type { Task } from '../protocol/task.js';
import type { JournalStep } from '../storage/call-journal.js';
import type { RunPorts } from './run-ports.js';

/**
 * Timer for a function that does not request a step of its journal: calls `due` after `mismatchMs`. Restarts when `differs`
 * changes.
 */
export class MismatchWatch {
  #differs = false;
  #stop: (() => void) | undefined;

  constructor(
    private readonly ports: Pick<RunPorts, 'clock' | 'limits'>,
    private readonly due: (differs: boolean) => void,
  ) {}

  /** @param differs whether the function requested a step that its journal does not have, or returned. */
  watch(differs: boolean): void {
    if (this.#stop && differs === this.#differs) return;
    this.#differs = differs;
    this.#stop?.();
    this.#stop = this.ports.clock.after(this.ports.limits.mismatchMs, () => this.due(differs));
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}

/** Error message for a function that requested another step than its journal has. */
export function mismatchMessage({ name, key }: JournalStep, requested: string, mismatchMs: number): string {
  const other = requested === name ? 'another' : `"${requested}"`;
  return `expected the step "${name}" of the journal (${key}), the workflow requested ${other}: register changed workflows under a new version; if it is unchanged, a branch awaited a promise other than a step for more than ${mismatchMs} ms: do such work in ctx.run`;
}

/** Warns that a replay is stuck: the function requests neither the recorded step nor a new one. */
export function warnOfForeignAwait(
  logger: Logger,
  { task_id: taskId, tenant_id: tenantId, type }: Task,
  { name }: JournalStep,
): void {
  logger.warn(
    `workflow: the replay waits for the function to request "${name}", but it awaits a promise other than a step; do such work in ctx.run`,
    { type, tenantId, taskId },
  );
}

/** Warns that a function requested a step after its task was parked; the step is not run. */
export function warnOfLateStep(
  { logger, limits: { parkAfterMs } }: Pick<RunPorts, 'logger' | 'limits'>,
  { task_id: taskId, type }: Task,
  requested: string,
): void {
  logger.warn(
    `workflow: awaited a promise other than a step for more than ${parkAfterMs} ms while other steps were open, so its task was parked; do such work in ctx.run`,
    { type, taskId, requested },
  );
}
