import { z } from 'zod';
import { idSchema, jobIdSchema, nameSchema, uuidSchema } from './ids.js';
import { jsonValueSchema } from './json.js';
import type { Usage } from './usage.js';

export type { Usage } from './usage.js';

/** Body of `POST {service.url}/{operation}`, sent to services. */
export const serviceCallSchema = z.object({
  /** Identifies one try of a step; stable over resends, sent as `Idempotency-Key`. */
  call_id: uuidSchema,
  task_id: uuidSchema,
  tenant_id: idSchema,
  session_id: idSchema.nullish().transform((id) => id ?? undefined),
  operation: nameSchema,
  input: jsonValueSchema,
  /** 1 for the first try of the step. */
  attempt: z.number().int().min(1),
  metadata: z.object({ user_id: z.string().nullish(), timeout_ms: z.number().nullish() }).default({}),
});
/** A call as a service receives it. `input` is JSON of the operation's shape. */
export interface ServiceCall<O extends string = string, I = unknown> extends Omit<
  z.output<typeof serviceCallSchema>,
  'operation' | 'input'
> {
  readonly operation: O;
  readonly input: I;
}

/** Body of a service's 200. For the forms of `usage` see `readUsage`. */
export const answeredSchema = z.object({ result: jsonValueSchema, usage: z.unknown().optional() });
/** Body of a service's 202: a notification for this job follows. */
export const acceptedSchema = z.object({ job_id: jobIdSchema });

/** Reply of an in-process service with more than a result. Created by `answered` and `accepted`. */
export class ServiceReply {
  private constructor(
    readonly kind: 'answered' | 'accepted',
    readonly result: unknown,
    readonly usage: Usage | undefined,
    readonly jobId: string,
  ) {}

  static answered(result: unknown, usage?: Usage): ServiceReply {
    return new ServiceReply('answered', result, usage, '');
  }

  static accepted(jobId: string): ServiceReply {
    return new ServiceReply('accepted', null, undefined, jobId);
  }
}

/** Completed: an in-process service's equivalent of HTTP 200, with its usage. */
export function answered(result: unknown, usage?: Usage): ServiceReply {
  return ServiceReply.answered(result, usage);
}

/** Accepted: an in-process service's equivalent of HTTP 202. A notification for `jobId` must follow. */
export function accepted(jobId: string): ServiceReply {
  return ServiceReply.accepted(jobId);
}

/** An in-process service. `run` returns the result, or `accepted(jobId)` if a notification will follow. */
export interface InProcessService<C extends ServiceCall = ServiceCall> {
  run(call: C, options: { readonly signal: AbortSignal }): unknown;
}
