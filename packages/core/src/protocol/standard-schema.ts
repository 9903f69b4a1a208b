import { type ErrorCode, type Issue, OrchestratorError } from './errors.js';
import { MAX_ISSUES, valueAt } from './lenient-parse.js';
import { describe, expectation, issueMessage, pathText } from './validation.js';

/**
 * A schema of any library that implements Standard Schema version 1 (https://standardschema.dev): zod, valibot, arktype and
 * others. `Input` is what `validate` accepts, `Output` what it returns.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    /** For the compiler only. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

interface SchemaIssue {
  readonly message: string;
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined;
}

/** Type that a schema accepts. */
export type SchemaInput<S extends StandardSchema> = NonNullable<S['~standard']['types']>['input'];
/** Type that a schema returns. */
export type SchemaOutput<S extends StandardSchema> = NonNullable<S['~standard']['types']>['output'];

/** @throws {OrchestratorError} `invalid_request` for a value that is no Standard Schema. */
export function requireSchema(schema: unknown, what: string): asserts schema is StandardSchema {
  if (isSchema(schema)) return;
  throw new OrchestratorError(
    'invalid_request',
    `${what}: expected a Standard Schema (zod, valibot, arktype …), got ${describe(schema)}`,
  );
}

function isSchema(schema: unknown): schema is StandardSchema {
  // ArkType's schemas are functions.
  if (schema === null || (typeof schema !== 'object' && typeof schema !== 'function')) return false;
  const standard: unknown = Reflect.get(schema, '~standard');
  return typeof standard === 'object' && standard !== null && 'validate' in standard;
}

/**
 * The validated value, with the schema's defaults and transformations. The schema must validate synchronously: a workflow is
 * replayed in turns.
 *
 * @throws {OrchestratorError} `code`, not retryable; `issues` has the first 20.
 */
export function parseBySchema<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
  { what, code = 'invalid_request' }: { readonly what: string; readonly code?: ErrorCode },
): Output {
  const result = validated(schema, value, what);
  if (!result.issues) return result.value;
  const issues = result.issues.slice(0, MAX_ISSUES).map((issue) => toIssue(issue, value));
  throw new OrchestratorError(code, issueMessage(what, issues), { issues, retryable: false });
}

function validated<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
  what: string,
): SchemaResult<Output> {
  let result: SchemaResult<Output> | Promise<SchemaResult<Output>>;
  try {
    result = schema['~standard'].validate(value);
  } catch (error) {
    throw new OrchestratorError('workflow_error', `${what}: its schema threw`, {
      cause: error,
      retryable: false,
    });
  }
  if (!(result instanceof Promise)) return result;
  result.catch(() => undefined);
  throw new OrchestratorError(
    'workflow_error',
    `${what}: expected a synchronous schema, got one that returns a promise`,
    {
      retryable: false,
    },
  );
}

function toIssue({ message, path = [] }: SchemaIssue, root: unknown): Issue {
  const keys = path.map((part) => (typeof part === 'object' ? part.key : part));
  return { path: pathText(keys), expected: expectation(message), got: describe(valueAt(root, keys)) };
}
