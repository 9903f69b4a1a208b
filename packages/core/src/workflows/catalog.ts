import { OrchestratorError } from '../protocol/errors.js';
import { taskTypeSchema } from '../protocol/ids.js';
import { validate } from '../protocol/validation.js';
import type { Runnable } from '../storage/task-queue.js';
import type { WorkflowFunction } from './context.js';

export interface WorkflowOptions {
  /** A task keeps the version it began with. Default 1. */
  readonly version?: number;
}

/** The workflows that this process runs, by type and version. */
export class WorkflowCatalog {
  readonly #types = new Map<string, Map<number, WorkflowFunction>>();
  #runnables: readonly Runnable[] = [];

  /** Adds a workflow, or puts another in its place. */
  add(type: string, { version = 1 }: WorkflowOptions, fn: WorkflowFunction): void {
    validate(taskTypeSchema, type, 'workflow type');
    if (!Number.isInteger(version) || version < 1) {
      throw new OrchestratorError(
        'invalid_request',
        `workflow "${type}": expected a version of 1 or more, got ${version}`,
      );
    }
    const versions = this.#types.get(type) ?? new Map<number, WorkflowFunction>();
    versions.set(version, fn);
    this.#types.set(type, versions);
    this.#runnables = [...this.#types].map(([name, known]) => ({ type: name, versions: [...known.keys()] }));
  }

  has(type: string): boolean {
    return this.#types.has(type);
  }

  find(type: string, version: number): WorkflowFunction | undefined {
    return this.#types.get(type)?.get(version);
  }

  types(): readonly string[] {
    return [...this.#types.keys()];
  }

  /** What a worker of this process can run. */
  runnables(): readonly Runnable[] {
    return this.#runnables;
  }
}
