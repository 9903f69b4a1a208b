import { z } from 'zod';
import { taskTypeSchema } from '../protocol/ids.js';
import { DEFAULTS } from '../protocol/settings.js';
import { validate } from '../protocol/validation.js';
import type { Runnable } from '../storage/task-queue.js';
import type { WorkflowFunction } from './context.js';

export interface WorkflowOptions {
  /** A task keeps the version it began with. Default 1. */
  readonly version?: number;
  /**
   * How long a task of this type may take in all, unless its submission says otherwise: from its creation, or `run_at` if
   * later, to its end, in milliseconds. At most 30 days. Default 15 min.
   */
  readonly timeoutMs?: number;
  /** How many attempts a task of this type has, unless its submission says otherwise: 1 to 100. Default 5. */
  readonly maxAttempts?: number;
}

/** Of a type as a whole: the last registration counts, whatever its version. */
export interface TypeDefaults {
  readonly timeoutMs?: number;
  readonly maxAttempts?: number;
}

const optionsSchema = z.object({
  version: z.int().min(1).max(1_000_000_000).default(1),
  timeoutMs: z.int().min(1).max(DEFAULTS.maxTaskTimeoutMs).optional(),
  maxAttempts: z.int().min(1).max(100).optional(),
});

/** The workflows that this process runs, by type and version. */
export class WorkflowCatalog {
  readonly #types = new Map<string, Map<number, WorkflowFunction>>();
  readonly #defaults = new Map<string, TypeDefaults>();
  #runnables: readonly Runnable[] = [];

  /**
   * Adds a workflow, or puts another in its place.
   * @throws {OrchestratorError} `invalid_request` that names the option.
   */
  add(type: string, options: WorkflowOptions, fn: WorkflowFunction): void {
    validate(taskTypeSchema, type, 'workflow type');
    const { version, timeoutMs, maxAttempts } = validate(optionsSchema, options, `workflow "${type}"`);
    const versions = this.#types.get(type) ?? new Map<number, WorkflowFunction>();
    versions.set(version, fn);
    this.#types.set(type, versions);
    this.#defaults.set(type, {
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(maxAttempts !== undefined && { maxAttempts }),
    });
    this.#runnables = [...this.#types].map(([name, known]) => ({
      type: name,
      versions: [...known.keys()],
      ...this.#defaults.get(name),
    }));
  }

  /** Of a type that is run here. */
  defaults(type: string): TypeDefaults | undefined {
    return this.#defaults.get(type);
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
