import type { JsonValue } from '@agent-orchestrator/core';

/** `message_id` for the ack of a frame, if valid; the rest of the frame may be invalid. */
export function messageIdOf(frame: JsonValue): string | undefined {
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) return undefined;
  const id = frame['message_id'];
  return typeof id === 'string' && id.length >= 1 && id.length <= 200 ? id : undefined;
}
