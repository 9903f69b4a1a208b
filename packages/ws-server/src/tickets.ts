import { createHash } from 'node:crypto';
import { newToken, OrchestratorError } from '@agent-orchestrator/core';

interface Ticket {
  /** The credential that the ticket stands for: it is looked at again when the ticket is used. */
  readonly token: string;
  readonly expiresAt: number;
}

/** How long a ticket is good for, in milliseconds. */
const LIFE_MS = 30_000;
const MAX_TICKETS = 10_000;

/**
 * Single-use tickets, with which a browser opens a socket without showing a long-lived key in a URL.
 * They live in this process only: a ticket is redeemed at the server that gave it out.
 */
export class TicketBooth {
  readonly #tickets = new Map<string, Ticket>();

  /** @throws {OrchestratorError} `rate_limited` when 10,000 are out. */
  issue(token: string): { readonly ticket: string; readonly expires_at: string } {
    this.#forgetExpired();
    if (this.#tickets.size >= MAX_TICKETS) {
      throw new OrchestratorError('rate_limited', 'too many tickets are out', { retryAfterMs: LIFE_MS });
    }
    const ticket = newToken();
    const expiresAt = Date.now() + LIFE_MS;
    this.#tickets.set(digest(ticket), { token, expiresAt });
    return { ticket, expires_at: new Date(expiresAt).toISOString() };
  }

  /** The credential behind a ticket, once. */
  redeem(ticket: string): string | undefined {
    const slot = digest(ticket);
    const found = this.#tickets.get(slot);
    this.#tickets.delete(slot);
    return found && found.expiresAt > Date.now() ? found.token : undefined;
  }

  #forgetExpired(): void {
    const now = Date.now();
    for (const [slot, ticket] of this.#tickets) {
      if (ticket.expiresAt > now) return;
      this.#tickets.delete(slot);
    }
  }
}

function digest(ticket: string): string {
  return createHash('sha256').update(ticket).digest('base64');
}
