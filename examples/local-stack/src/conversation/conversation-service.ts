import type { JsonValue } from '@agent-orchestrator/core';
import type { EntryChange } from '@agent-orchestrator/core/storage';
import { cutText, idSchema, jsonObjectSchema, newToken, validate } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { operation, type ServiceDefinition } from '../service-definition.js';
import { refuseBeyond, type Restoring, TenantState } from '../tenant-state.js';

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
/** A message as it is stored. */
const messageSchema = appendInput.omit({ session_id: true }).extend({
  message_id: z.string(),
  created_at: z.string(),
  /** The call that appended it: a repeated one appends nothing. */
  call_id: z.string(),
});
type Message = z.output<typeof messageSchema>;

interface Archive {
  readonly messages: Message[];
  forgotten: number;
}

/** The archive of conversations: `append_message`, `get_context`. */
export function conversationService(): ServiceDefinition {
  const tenants = new TenantState({ create: () => new Map<string, Archive>(), restoring });
  return {
    name: 'conversation',
    state: tenants,
    operations: {
      append_message: operation({
        input: appendInput,
        answers: 'at_once',
        run: ({ session_id, ...content }, context) =>
          tenants.change(context, (sessions) => {
            const { call_id } = context;
            if (!sessions.has(session_id)) refuseBeyond(sessions.size, MAX_SESSIONS, 'sessions');
            const archive = sessions.get(session_id) ?? { messages: [], forgotten: 0 };
            const repeated = archive.messages.findLast((message) => message.call_id === call_id);
            if (repeated) return { entries: [], apply: () => ({ message_id: repeated.message_id }) };
            const about = { message_id: newToken(), created_at: new Date().toISOString(), call_id };
            const message = { ...content, ...about };
            return {
              entries: entriesOf(session_id, archive, message),
              apply() {
                sessions.set(session_id, archive);
                archive.messages.push(message);
                archive.forgotten += archive.messages.splice(0, surplusOf(archive)).length;
                return { message_id: message.message_id };
              },
            };
          }),
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

/** Messages beyond the limit. */
function surplusOf({ messages }: Archive): number {
  return Math.max(0, messages.length - MAX_MESSAGES);
}

/** What is stored for a further message; the one that it pushes out is removed. */
function entriesOf(sessionId: string, { messages, forgotten }: Archive, message: Message): EntryChange[] {
  const next = forgotten + messages.length;
  const added = { key: keyOf(sessionId, next), value: message as unknown as JsonValue };
  return messages.length < MAX_MESSAGES ? [added] : [added, { key: keyOf(sessionId, forgotten) }];
}

/** @param number of the message among all of its session. */
function keyOf(sessionId: string, number: number): string {
  return `${sessionId}/${number}`;
}

function restoring(): Restoring<Map<string, Archive>> {
  const sessions = new Map<string, Map<number, Message>>();
  return {
    add(key, value) {
      const [sessionId = '', number] = key.split('/');
      const messages = sessions.get(sessionId) ?? new Map<number, Message>();
      sessions.set(sessionId, messages);
      messages.set(Number(number), validate(messageSchema, value, 'message', 'internal_error'));
    },
    end() {
      const archives = new Map<string, Archive>();
      for (const [sessionId, messages] of sessions) {
        const inOrder = [...messages].toSorted(([a], [b]) => a - b);
        const [[forgotten] = [0]] = inOrder;
        archives.set(sessionId, { messages: inOrder.map(([, message]) => message), forgotten });
      }
      return archives;
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
