import { z } from 'zod';
import { idSchema, jobIdSchema, nameSchema, uuidSchema } from './ids.js';
import { type JsonValue, jsonValueSchema } from './json.js';
import type { Usage } from './usage.js';

export type { Usage } from './usage.js';

/** What the orchestrator sends to a service: the body of `POST {service.url}/{operation}`. */
export const serviceCallSchema = z.object({
  /** One try of one step; stable over resends, so it is the `Idempotency-Key`. */
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
/** JSON whose shape whoever reads it knows. */
export type AnyJson = ReturnType<typeof JSON.parse>;
export type ServiceCall = Omit<z.output<typeof serviceCallSchema>, 'input'> & { readonly input: AnyJson };

/** A service's 200. Of its `usage`, `readUsage` says what is understood. */
export const answeredSchema = z.object({ result: jsonValueSchema, usage: z.unknown().optional() });
/** A service's 202: a notification that names this job follows. */
export const acceptedSchema = z.object({ job_id: jobIdSchema });

/** What a service in this process returns to say more than its result. Made by `answered` and `accepted`. */
export class ServiceReply {
  private constructor(
    readonly kind: 'answered' | 'accepted',
    readonly result: JsonValue,
    readonly usage: Usage | undefined,
    readonly jobId: string,
  ) {}

  static answered(result: JsonValue, usage?: Usage): ServiceReply {
    return new ServiceReply('answered', result, usage, '');
  }

  static accepted(jobId: string): ServiceReply {
    return new ServiceReply('accepted', null, undefined, jobId);
  }
}

/** Done: the HTTP 200 of a service in this process, with what it consumed. */
export function answered(result: JsonValue, usage?: Usage): ServiceReply {
  return ServiceReply.answered(result, usage);
}

/** Taken on: the HTTP 202 of a service in this process. A notification that names `jobId` must follow. */
export function accepted(jobId: string): ServiceReply {
  return ServiceReply.accepted(jobId);
}

/** A service in this process. Whatever `run` returns is the result; `accepted(jobId)` says that it will be notified. */
export interface InProcessService {
  run(call: ServiceCall, options: { readonly signal: AbortSignal }): unknown;
}
