import type { Logger } from '../runtime/logger.js';
import type { Task } from '../protocol/task.js';
import type { JournalStep } from '../storage/call-journal.js';
import type { RunPorts } from './run-ports.js';

/**
 * Watches a function that leaves out a step of its journal: after `mismatchMs` of it, `due` is called. It begins anew when
 * the function is journalRev to differ from its journal, or no longer to.
 */
export class MismatchWatch {
  #differs = false;
  #stop: (() => void) | undefined;

  constructor(
    private readonly ports: Pick<RunPorts, 'clock' | 'limits'>,
    private readonly due: (differs: boolean) => void,
  ) {}

  /** @param differs whether the function asks for something else than its journal has, or has returned. */
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

/** The journal has a step, and the function asks for another one. */
export function mismatchMessage({ name, key }: JournalStep, asked: string, mismatchMs: number): string {
  const other = asked === name ? 'another' : `"${asked}"`;
  return `the journal has "${name}" (step ${key}), the workflow asks for ${other}: was it rev without a new version, or does another branch await something foreign for more than ${mismatchMs} ms?`;
}

/** The journal has a step that the function has not asked for, and it asks for nothing else: it may go on as it is. */
export function warnOfForeignAwait(
  logger: Logger,
  { task_id: taskId, tenant_id: tenantId, type }: Task,
  { name }: JournalStep,
): void {
  logger.warn(
    `workflow: the replay waits until the function asks for "${name}": it awaits something foreign; do such work in ctx.run`,
    { type, tenantId, taskId },
  );
}
