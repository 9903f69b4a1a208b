import {
  type Ack,
  ackSchema,
  type GatewayOutcome,
  type HubFrame,
  isErrorCode,
  type JsonObject,
  type JsonValue,
  MAX_RESULT_BYTES,
  OrchestratorError,
  parseJson,
  taskCancelSchema,
  taskCompletedSchema,
  taskFailedSchema,
} from '@agent-orchestrator/core/notifier';

/** Messages of the hub on a socket. */
export type HubWord =
  | { readonly kind: 'authenticated'; readonly connectionId: string; readonly maxPayload: number }
  | { readonly kind: 'unauthorized'; readonly error: OrchestratorError }
  | { readonly kind: 'ack'; readonly ack: Ack }
  | { readonly kind: 'frame'; readonly frame: HubFrame };

/** Parses a message of the hub; `undefined` for an unknown one, such as from a newer hub. */
export function readHubWord(text: string): HubWord | undefined {
  const frame = parsed(text);
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) return undefined;
  const { status, event } = frame;
  if (status !== undefined) return readGreeting(frame);
  if (event === 'ack') {
    const ack = ackSchema.safeParse(frame);
    return ack.success ? { kind: 'ack', ack: ack.data } : undefined;
  }
  if (event === 'task_cancel') {
    const cancel = taskCancelSchema.safeParse(frame);
    return cancel.success ? { kind: 'frame', frame: cancel.data } : undefined;
  }
  return isOutcome(frame) ? { kind: 'frame', frame } : undefined;
}

/** Retry delay from the reason of a close frame. */
export function retryAfterOf(closeReason: string): number | undefined {
  const reason = parsed(closeReason);
  if (typeof reason !== 'object' || reason === null || Array.isArray(reason)) return undefined;
  const ms = reason['retry_after_ms'];
  return typeof ms === 'number' && ms >= 0 ? ms : undefined;
}

function parsed(text: string): JsonValue | undefined {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function readGreeting(frame: JsonObject): HubWord | undefined {
  const { status, connection_id: id, max_payload: max, code, message } = frame;
  if (status === 'authenticated') {
    const maxPayload = typeof max === 'number' && max > 0 ? max : MAX_RESULT_BYTES;
    return { kind: 'authenticated', connectionId: typeof id === 'string' ? id : '', maxPayload };
  }
  if (status !== 'unauthorized') return undefined;
  const why = typeof message === 'string' ? message : 'the hub refuses the token';
  return {
    kind: 'unauthorized',
    error: new OrchestratorError(isErrorCode(code) ? code : 'unauthorized', why),
  };
}

function isOutcome(frame: JsonObject): frame is JsonObject & GatewayOutcome {
  const known = taskCompletedSchema.safeParse(frame).success || taskFailedSchema.safeParse(frame).success;
  return known && typeof frame['global_task_id'] === 'string';
}
