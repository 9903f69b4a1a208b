import { randomUUID } from 'node:crypto';
import {
  idSchema,
  newToken,
  type Orchestrator,
  OrchestratorError,
  type TenantHandle,
  type Topic,
  uuidSchema,
} from '@agent-orchestrator/core';
import { z } from 'zod';
import { topicKey } from '../client-socket/event-frame.js';
import { seal, ticketId, unseal } from './ticket-seal.js';

/** The one task or session that a ticket is good for. */
export type TicketTopic = Exclude<Topic, { readonly tenant: true }>;

const topicFields = { task_id: uuidSchema.nullish(), session_id: idSchema.nullish() };

/**
 * The body of `POST /v1/tickets`: nothing, a topic, or its fields alone. A field that is not known is refused, since a
 * limit must not be lost to a typing error.
 */
export const ticketRequestSchema = z
  .strictObject({ ...topicFields, topic: z.strictObject(topicFields).nullish() })
  .transform(({ topic, ...own }, context): TicketTopic | undefined => {
    const named = [own, topic ?? {}].flatMap(({ task_id, session_id }): TicketTopic[] => [
      ...(task_id ? [{ task_id }] : []),
      ...(session_id ? [{ session_id }] : []),
    ]);
    if (named.length > 1) context.addIssue('expected a task or a session, got several');
    return named[0];
  });

/** @throws {OrchestratorError} `forbidden` for a topic that is not the one that a ticket is limited to. */
export function refuseOtherTopic(only: TicketTopic | undefined, topic: Topic): void {
  if (only === undefined || topicKey(only) === topicKey(topic)) return;
  throw new OrchestratorError('forbidden', `the ticket is good for ${topicKey(only)} alone`);
}

/** What a caller shows: a token, and what it is limited to if it came as a ticket. */
export interface ShownCredential {
  readonly token: string;
  readonly ticket?: { readonly tenant: string; readonly topic?: TicketTopic };
}

/** How long a ticket is good for, in milliseconds. */
const LIFE_MS = 30_000;
const FORM = /^([\w-]{22})\.([A-Za-z0-9][A-Za-z0-9_.-]{0,63})$/;

/**
 * Single-use tickets, with which a browser opens a socket or a stream without showing a long-lived key in a URL. They are
 * kept by the storage that all processes share, and spent there in one step. A ticket names its tenant, for the storage
 * finds everything by that; the credential behind it is sealed with the ticket itself.
 */
export class Tickets {
  constructor(
    private readonly orchestrator: Orchestrator,
    private readonly maxOpen: number,
  ) {}

  /** @throws {OrchestratorError} `rate_limited` when as many tickets of the tenant are open as may be. */
  async issue(
    tenant: TenantHandle,
    token: string,
    topic: TicketTopic | undefined,
  ): Promise<{ readonly ticket: string; readonly expires_at: string }> {
    const secret = newToken();
    const content = seal(secret, JSON.stringify({ token, topic }));
    const id = ticketId(secret);
    const issued = await tenant.tickets.issue({
      ticketId: id,
      content,
      lifeMs: LIFE_MS,
      maxOpen: this.maxOpen,
    });
    if (issued.answer === 'issued') {
      const expires_at = new Date(issued.expiresAt).toISOString();
      return { ticket: `${secret}.${tenant.tenantId}`, expires_at };
    }
    throw new OrchestratorError(
      'rate_limited',
      `expected at most ${this.maxOpen} open tickets of a tenant, got one more: use or wait out those that are open`,
      { retryAfterMs: Math.min(LIFE_MS, Math.max(1, issued.freeAt - Date.now())) },
    );
  }

  /**
   * The credential behind a ticket, once; `undefined` for a ticket that is spent, has expired or never was.
   *
   * @throws {OrchestratorError} `storage_unavailable` when it cannot be looked up.
   */
  async spend(ticket: string): Promise<ShownCredential | undefined> {
    const [, secret, tenant] = FORM.exec(ticket) ?? [];
    if (secret === undefined || tenant === undefined) return undefined;
    const { tickets } = this.orchestrator.tenant(tenant);
    const content = await tickets.spend({ ticketId: ticketId(secret), spendId: randomUUID() });
    if (content === undefined) return undefined;
    const { token, topic } = JSON.parse(unseal(secret, content)) as { token: string; topic?: TicketTopic };
    return { token, ticket: { tenant, ...(topic && { topic }) } };
  }
}
