import { writeJson } from '../../protocol/known-text.js';
import type { Message } from '../../protocol/session.js';
import type { ClaimedMessages } from '../../storage/task-queue.js';
import type { EngineState } from '../engine-state.js';
import type { TaskEntry } from '../tasks/task-entry.js';

/** Messages of sessions that come with one claim, within its budget of bytes. */
export class MessagesOfClaim {
  private readonly types: ReadonlySet<string>;
  private bytesLeft: number;

  /** @param types those whose runs read them first. */
  constructor(
    private readonly state: EngineState,
    types: readonly string[] = [],
  ) {
    this.types = new Set(types);
    this.bytesLeft = state.limits.claimedMessageBytes;
  }

  /** All or none: a part of what the run asks for would not spare it the read. */
  of({ spec, tenant, journal }: TaskEntry): ClaimedMessages | undefined {
    if (!this.types.has(spec.type) || spec.session_id === undefined) return undefined;
    if (journal.rev > 0 || journal.steps.size > 0) return undefined;
    const all = tenant.sessions.get(spec.session_id)?.messages ?? [];
    const newest = all.slice(-this.state.limits.claimedMessages);
    const bytes = newest.reduce((sum, message) => sum + keptBytes(message), 0);
    if (newest.length === 0 || bytes > this.bytesLeft) return undefined;
    this.bytesLeft -= bytes;
    return { messages: newest.map((message) => ({ ...message })), hasOlder: all.length > newest.length };
  }
}

/** As other storages keep a message, which then need not read it to know its size: its id, and its JSON with the time as a number. */
function keptBytes(message: Message): number {
  const kept = { ...message, created_at: Date.parse(message.created_at) };
  return Buffer.byteLength(message.message_id) + 1 + Buffer.byteLength(writeJson(kept));
}
