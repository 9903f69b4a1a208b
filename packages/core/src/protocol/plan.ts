import { z } from 'zod';
import { idSchema, nameSchema } from './ids.js';
import { type JsonValue, jsonObjectSchema, jsonValueSchema, optionalJsonSchema } from './json.js';
import { listSchema } from './list.js';

const MAX_STEPS = 1_000;

/** Schema of a step of a plan. */
export const planStepSchema = z.object({
  id: nameSchema,
  service: idSchema,
  operation: nameSchema,
  input: jsonValueSchema.default({}),
  depends_on: listSchema(nameSchema, { max: MAX_STEPS }).default([]),
  timeout_ms: z.number().int().min(1).optional(),
  retry: z.object({ max_attempts: z.number().int().min(1).max(100) }).optional(),
  optional: z.boolean().default(false),
});
/** One step of a plan: a call of a service. */
export type PlanStep = z.output<typeof planStepSchema>;

/** A plan: service calls, run as concurrently as their dependencies allow. */
export const planSchema = z.object({
  name: z.string().min(1).max(200).optional(),
  input: jsonObjectSchema.default({}),
  steps: listSchema(planStepSchema, { min: 1, max: MAX_STEPS }),
  output: optionalJsonSchema,
});
/** A workflow as data: `payload.plan` of a task of type `workflow`. */
export type OrchestrationPlan = z.output<typeof planSchema>;

/** Whether a value is a reference to `input` or `steps.<id>.result`: `{ "$from": "steps.chunk.result.texts" }`. */
export function isReference(value: JsonValue): value is { $from: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    typeof value['$from'] === 'string' &&
    Object.keys(value).length === 1
  );
}
