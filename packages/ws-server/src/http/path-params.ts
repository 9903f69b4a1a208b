import { idSchema, jobIdSchema, nameSchema, uuidSchema } from '@agent-orchestrator/core/protocol';
import type { z } from 'zod';

/** Schema of a path parameter, by its name. */
export const PATH_PARAMETERS = {
  tenant_id: idSchema,
  task_id: uuidSchema,
  batch_id: uuidSchema,
  session_id: idSchema,
  service: idSchema,
  operation: nameSchema,
  name: nameSchema,
  job_id: jobIdSchema,
} as const satisfies Readonly<Record<string, z.ZodType<string>>>;

/** Names in braces of a path. */
type NamesIn<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | NamesIn<Rest>
  : never;

/** Parameters of a path: `{ task_id: string }` for `/v1/tasks/{task_id}`. */
export type PathParams<Path extends string> = { readonly [Name in NamesIn<Path>]: string };

/** A path whose parameters all have a schema; for others no value has this type. */
export type ValidPath<Path extends string> = [Exclude<NamesIn<Path>, keyof typeof PATH_PARAMETERS>] extends [
  never,
]
  ? Path
  : { readonly 'path parameters without a schema': Exclude<NamesIn<Path>, keyof typeof PATH_PARAMETERS> };
