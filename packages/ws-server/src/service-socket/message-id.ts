import type { JsonValue } from '@agent-orchestrator/core';

/** The `message_id` that a frame wants its ack under, if it has one that can be one; the rest of the frame may be wrong. */
export function messageIdOf(frame: JsonValue): string | undefined {
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) return undefined;
  const id = frame['message_id'];
  return typeof id === 'string' && id.length >= 1 && id.length <= 200 ? id : undefined;
}
