import { z } from 'zod';
import { idSchema } from './ids.js';
import { type JsonObject, jsonObjectSchema } from './json.js';

/** Every role of a message. */
export const MESSAGE_ROLES = ['user', 'assistant', 'system', 'tool'] as const;
/** Role of a message in its session. */
export type MessageRole = (typeof MESSAGE_ROLES)[number];

/** Body of `POST /v1/sessions`. */
export const sessionCreationSchema = z.object({
  session_id: idSchema.optional(),
  agent_id: idSchema.optional(),
  context: jsonObjectSchema.optional(),
});
/** Body of `PATCH /v1/sessions/{id}`: `null` removes a field of `context`. */
export const sessionPatchSchema = z.object({
  agent_id: idSchema.optional(),
  context: jsonObjectSchema.optional(),
});

/** One conversation of one tenant. */
export interface Session {
  readonly session_id: string;
  readonly tenant_id: string;
  readonly agent_id?: string;
  readonly status: 'active' | 'closed';
  readonly created_at: string;
  readonly updated_at: string;
  /** Context that the host shares with the session's tasks. */
  readonly context: JsonObject;
  /** Revision for compare-and-set; increases with each change of the session. */
  readonly rev: number;
}

/** A message of a session. */
export interface Message {
  readonly message_id: string;
  readonly role: MessageRole;
  readonly content: string;
  readonly created_at: string;
  readonly task_id?: string;
}
