import { OrchestratorError } from '../protocol/errors.js';
import {
  parseBySchema,
  requireSchema,
  type SchemaInput,
  type SchemaOutput,
  type StandardSchema,
} from '../protocol/standard-schema.js';
import { describe } from '../protocol/validation.js';
import type { Contracts } from '../services/contracts.js';
import type { WorkflowOptions } from './catalog.js';
import type { WorkflowContext, WorkflowFunction } from './context.js';

/** Options of `defineWorkflow`: schemas, version, and the defaults of its tasks. */
export interface DefinitionOptions extends WorkflowOptions {
  /**
   * Schema of the input; must validate synchronously. A submission with an invalid input is refused where the definition is known,
   * else the task fails at its start; in both cases with `invalid_request`.
   */
  readonly input?: StandardSchema | undefined;
  /** Schema of the result; must validate synchronously. An invalid result fails the task with `workflow_error`. */
  readonly output?: StandardSchema | undefined;
}

/** A workflow with the types of its input and result. Created by `defineWorkflow`. */
export interface WorkflowDefinition<Input = unknown, Result = unknown> {
  readonly type: string;
  readonly options: DefinitionOptions;
  /** The function, with validation of its input and result. */
  readonly run: WorkflowFunction;
  /** For the compiler only. */
  readonly '~types'?: { readonly input: Input; readonly result: Result } | undefined;
}

type Answer<T> = T | Promise<T>;
type NoSchema = undefined;

/**
 * Defines a workflow apart from an orchestrator: a process that runs it registers it with `orchestrator.workflow(definition)`, one
 * that only submits imports the definition. For typed calls annotate the context: `(ctx: WorkflowContext<typeof contracts>, input)`.
 *
 * @throws {OrchestratorError} `invalid_request`
 * @example
 * const refund = defineWorkflow('refund', { input: z.object({ order: z.string() }) }, async (ctx, { order }) => {
 *   await ctx.call('payments', 'refund', { order });
 *   return { refunded: order };
 * });
 * const task = await acme.tasks.submit(refund, { order: 'o-1' });
 * const { refunded } = await task.result();
 */
export function defineWorkflow<
  I extends StandardSchema,
  O extends StandardSchema,
  C extends Contracts = Contracts,
>(
  type: string,
  options: DefinitionOptions & { readonly input: I; readonly output: O },
  fn: (ctx: WorkflowContext<C>, input: SchemaOutput<I>) => Answer<SchemaInput<O>>,
): WorkflowDefinition<SchemaInput<I>, SchemaOutput<O>>;
export function defineWorkflow<I extends StandardSchema, R, C extends Contracts = Contracts>(
  type: string,
  options: DefinitionOptions & { readonly input: I; readonly output?: NoSchema },
  fn: (ctx: WorkflowContext<C>, input: SchemaOutput<I>) => Answer<R>,
): WorkflowDefinition<SchemaInput<I>, R>;
export function defineWorkflow<O extends StandardSchema, P = unknown, C extends Contracts = Contracts>(
  type: string,
  options: DefinitionOptions & { readonly input?: NoSchema; readonly output: O },
  fn: (ctx: WorkflowContext<C>, input: P) => Answer<SchemaInput<O>>,
): WorkflowDefinition<P, SchemaOutput<O>>;
export function defineWorkflow<R, P = unknown, C extends Contracts = Contracts>(
  type: string,
  options: DefinitionOptions & { readonly input?: NoSchema; readonly output?: NoSchema },
  fn: (ctx: WorkflowContext<C>, input: P) => Answer<R>,
): WorkflowDefinition<P, R>;
export function defineWorkflow(
  type: string,
  options: DefinitionOptions,
  fn: WorkflowFunction,
): WorkflowDefinition {
  const what = `workflow "${type}"`;
  if (typeof fn !== 'function') {
    throw new OrchestratorError('invalid_request', `${what}: expected a function, got ${describe(fn)}`);
  }
  const { input, output } = options;
  if (input !== undefined) requireSchema(input, `${what}: input`);
  if (output !== undefined) requireSchema(output, `${what}: output`);
  return Object.freeze({ type, options, run: validating({ what, input, output }, fn) });
}

/** Whether a value is a definition. Structural: several copies of this package may be loaded. */
export function isDefinition(value: unknown): value is WorkflowDefinition {
  return typeof value === 'object' && value !== null && 'run' in value && typeof value.run === 'function';
}

interface Schemas {
  readonly what: string;
  readonly input: StandardSchema | undefined;
  readonly output: StandardSchema | undefined;
}

function validating({ what, input, output }: Schemas, fn: WorkflowFunction): WorkflowFunction {
  if (!input && !output) return fn;
  return async (ctx, payload) => {
    const result = await fn(
      ctx,
      input ? parseBySchema(input, payload, { what: `input of ${what}` }) : payload,
    );
    return output
      ? parseBySchema(output, result, { what: `result of ${what}`, code: 'workflow_error' })
      : result;
  };
}
