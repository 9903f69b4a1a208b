import { z } from 'zod';
import { taskTypeSchema } from '../protocol/ids.js';
import { DEFAULTS } from '../protocol/settings.js';
import { validate } from '../protocol/validation.js';
import type { Runnable, TypeDefaults } from '../storage/task-queue.js';
import type { StandardSchema } from '../protocol/standard-schema.js';
import type { WorkflowFunction } from './context.js';

/** Version of a workflow, and the defaults of its tasks. */
export interface WorkflowOptions {
  /** A task keeps the version it started with. Default 1. */
  readonly version?: number;
  /**
   * Default time limit of tasks of this type, ms: from creation, or `run_at` if later, to the final state. At most 30 days.
   * Default 15 min.
   */
  readonly timeoutMs?: number;
  /** Default number of attempts of tasks of this type: 1 to 100. Default 5. */
  readonly maxAttempts?: number;
}

const optionsSchema = z.strictObject({
  version: z.int().min(1).max(1_000_000_000).default(1),
  timeoutMs: z.int().min(1).max(DEFAULTS.maxTaskTimeoutMs).optional(),
  maxAttempts: z.int().min(1).max(100).optional(),
});

interface Version {
  readonly fn: WorkflowFunction;
  /** Schema of the input, for submissions of this process. */
  readonly input: StandardSchema | undefined;
}

/** The workflows that this process runs, by type and version. */
export class WorkflowCatalog {
  readonly #types = new Map<string, Map<number, Version>>();
  readonly #defaults = new Map<string, TypeDefaults>();
  #runnables: readonly Runnable[] = [];

  /**
   * Adds or replaces a workflow.
   * @throws {OrchestratorError} `invalid_request`, naming the option.
   */
  add(type: string, options: WorkflowOptions, fn: WorkflowFunction<never>, input?: StandardSchema): void {
    validate(taskTypeSchema, type, 'workflow type');
    const { version, timeoutMs, maxAttempts } = validate(optionsSchema, options, `workflow "${type}"`);
    const versions = this.#types.get(type) ?? new Map<number, Version>();
    // Called with the task's payload, of whatever type the function declares.
    versions.set(version, { fn: fn as WorkflowFunction, input });
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

  /** Defaults of a type; `undefined` if this process does not run it. */
  defaults(type: string): TypeDefaults | undefined {
    return this.#defaults.get(type);
  }

  has(type: string): boolean {
    return this.#types.has(type);
  }

  find(type: string, version: number): WorkflowFunction | undefined {
    return this.#types.get(type)?.get(version)?.fn;
  }

  /** Input schema of the highest version, which new tasks start with. */
  inputSchema(type: string): StandardSchema | undefined {
    const versions = this.#types.get(type);
    return versions?.get(Math.max(...versions.keys()))?.input;
  }

  types(): readonly string[] {
    return [...this.#types.keys()];
  }

  /** Types and versions for the claims of this process's worker. */
  runnables(): readonly Runnable[] {
    return this.#runnables;
  }
}
