import { cutText, idSchema, jsonObjectSchema, newToken } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { operation, type ServiceDefinition } from '../service-definition.js';
import { refuseBeyond, TenantState } from '../tenant-state.js';

/** Maximum of sessions of a tenant. */
const MAX_SESSIONS = 10_000;
/** Maximum of messages kept per session; of older ones only their number. */
const MAX_MESSAGES = 1_000;
const DEFAULT_LIMIT = 20;
/** Questions in a summary, and characters of each. */
const SUMMARY_QUESTIONS = 5;
const SUMMARY_LENGTH = 120;

const appendInput = z.object({
  session_id: idSchema,
  role: z.enum(['user', 'assistant', 'system', 'tool']),
  content: z.string().max(200_000),
  metadata: jsonObjectSchema.nullish(),
});
type Message = Omit<z.output<typeof appendInput>, 'session_id'> & {
  readonly message_id: string;
  readonly created_at: string;
};

interface Archive {
  readonly messages: Message[];
  forgotten: number;
}

/** The archive of conversations: `append_message`, `get_context`. */
export function conversationService(): ServiceDefinition {
  const tenants = new TenantState(() => new Map<string, Archive>());
  return {
    name: 'conversation',
    operations: {
      append_message: operation({
        input: appendInput,
        answers: 'at_once',
        changes: true,
        async run({ session_id, ...message }, { tenant_id }) {
          const sessions = tenants.of(tenant_id);
          if (!sessions.has(session_id)) refuseBeyond(sessions.size, MAX_SESSIONS, 'sessions');
          const archive = sessions.get(session_id) ?? { messages: [], forgotten: 0 };
          sessions.set(session_id, archive);
          const message_id = newToken();
          archive.messages.push({ ...message, message_id, created_at: new Date().toISOString() });
          archive.forgotten += archive.messages.splice(
            0,
            Math.max(0, archive.messages.length - MAX_MESSAGES),
          ).length;
          return { message_id };
        },
      }),
      get_context: operation({
        input: z.object({ session_id: idSchema, limit: z.number().int().min(1).max(MAX_MESSAGES).nullish() }),
        answers: 'at_once',
        async run({ session_id, limit }, { tenant_id }) {
          const archive = tenants.peek(tenant_id)?.get(session_id) ?? { messages: [], forgotten: 0 };
          const earlier = Math.max(0, archive.messages.length - (limit ?? DEFAULT_LIMIT));
          const messages = archive.messages
            .slice(earlier)
            .map(({ role, content, created_at }) => ({ role, content, created_at }));
          const summary = summaryOf(archive.messages.slice(0, earlier), archive.forgotten);
          return { messages, ...(summary !== undefined && { summary }) };
        },
      }),
    },
  };
}

/** Summary of the messages before the returned ones: their number and the latest questions. */
function summaryOf(earlier: readonly Message[], forgotten: number): string | undefined {
  const count = earlier.length + forgotten;
  if (count === 0) return undefined;
  const asked = earlier
    .filter(({ role }) => role === 'user')
    .slice(-SUMMARY_QUESTIONS)
    .map(({ content }) => `“${cutText(content, SUMMARY_LENGTH, '…')}”`);
  return `${count} earlier messages${asked.length > 0 ? `; the user asked ${asked.join(', ')}` : ''}.`;
}
