import { randomUUID } from 'node:crypto';
import {
  type Clock,
  type Orchestrator,
  OrchestratorError,
  type TenantHandle,
} from '@agent-orchestrator/core';
import { type Topic } from '@agent-orchestrator/core/protocol';
import { idSchema, newToken, uuidSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { topicKey } from '../events/event-frame.js';
import type { AuthenticatedClient } from './authenticator.js';
import type { Scope } from '@agent-orchestrator/core/protocol';
import { seal, ticketId, unseal } from './ticket-seal.js';

/** The one task or session that a ticket is limited to. */
export type TicketTopic = Exclude<Topic, { readonly tenant: true }>;

const topicFields = { task_id: uuidSchema.nullish(), session_id: idSchema.nullish() };

/**
 * Body of `POST /v1/tickets`: empty, a topic, or its fields. An unknown field is refused, since a typing
 * error must not widen a ticket.
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

/** Scopes of which following a topic takes one. */
export function scopesOf(topic: Topic): readonly Scope[] {
  return 'task_id' in topic ? ['chat', 'tasks'] : ['chat'];
}

/** @throws {OrchestratorError} `forbidden` for a topic other than the ticket's. */
export function refuseOtherTopic(only: TicketTopic | undefined, topic: Topic): void {
  if (only === undefined || topicKey(only) === topicKey(topic)) return;
  throw new OrchestratorError('forbidden', `the ticket is limited to ${topicKey(only)}`);
}

/** What the key of a ticket could do when the ticket was issued. */
interface TicketRights {
  readonly scopes: readonly Scope[];
  readonly userId?: string;
}

/** Credential of a caller: a token, and the limits of the ticket it came with. */
export interface ShownCredential {
  readonly token: string;
  readonly ticket?: {
    readonly tenant: string;
    readonly topic?: TicketTopic;
    /** Absent in a ticket of a version without scopes. */
    readonly rights?: TicketRights;
  };
}

interface SealedContent {
  readonly token: string;
  readonly topic?: TicketTopic | undefined;
  readonly rights?: TicketRights;
}

/** Lifetime of a ticket, ms. */
const LIFE_MS = 30_000;
const FORM = /^([\w-]{22})\.([A-Za-z0-9][A-Za-z0-9_.-]{0,63})$/;

/**
 * Single-use tickets: a browser opens a socket or a stream without a long-lived key in a URL. They are kept
 * in the storage shared by all processes, and used up there in one step. A ticket names its tenant, by which
 * the storage finds everything; the credential behind it is encrypted with the ticket itself.
 */
export class Tickets {
  constructor(
    private readonly orchestrator: Orchestrator,
    private readonly maxOpen: number,
    private readonly clock: Clock,
  ) {}

  /** @throws {OrchestratorError} `rate_limited` when the tenant has too many open tickets. */
  async issue(
    tenant: TenantHandle,
    {
      token,
      caller,
      topic,
    }: {
      readonly token: string;
      readonly caller: AuthenticatedClient;
      readonly topic: TicketTopic | undefined;
    },
  ): Promise<{ readonly ticket: string; readonly expires_at: string }> {
    const secret = newToken();
    const { scopes, userId } = caller;
    const rights = { scopes: [...scopes], ...(userId !== undefined && { userId }) };
    const sealed: SealedContent = { token, topic, rights };
    const content = seal(secret, JSON.stringify(sealed));
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
      { retryAfterMs: Math.min(LIFE_MS, Math.max(1, issued.freeAt - this.clock.now())) },
    );
  }

  /**
   * Credential behind a ticket, once; `undefined` for a used, expired or unknown one.
   *
   * @throws {OrchestratorError} `storage_unavailable` when the lookup fails.
   */
  async spend(ticket: string): Promise<ShownCredential | undefined> {
    const [, secret, tenant] = FORM.exec(ticket) ?? [];
    if (secret === undefined || tenant === undefined) return undefined;
    const { tickets } = this.orchestrator.tenant(tenant);
    const content = await tickets.spend({ ticketId: ticketId(secret), spendId: randomUUID() });
    if (content === undefined) return undefined;
    const { token, topic, rights } = JSON.parse(unseal(secret, content)) as SealedContent;
    return { token, ticket: { tenant, ...(topic && { topic }), ...(rights && { rights }) } };
  }
}
