import type { Message } from '@agent-orchestrator/core';

/** A message as JSON, with `$at` as the placeholder of its time. */
export function storedMessage(message: Omit<Message, 'created_at'>): string {
  return `{"created_at":$at,${JSON.stringify(message).slice(1)}`;
}

export function readMessage(json: string): Message {
  const { created_at, ...message } = JSON.parse(json) as Omit<Message, 'created_at'> & { created_at: number };
  return { ...message, created_at: new Date(created_at).toISOString() };
}
