/** What came of issuing a ticket. */
export type IssuedTicket =
  | { readonly answer: 'issued'; readonly expiresAt: number }
  /** `maxOpen` tickets of the tenant are open; the first of them expires at `freeAt`. */
  | { readonly answer: 'too_many'; readonly freeAt: number };

/**
 * Single-use tickets of tenants, each with a content that the storage does not look into. A ticket is open until it is
 * spent or expires.
 */
export interface TicketStore {
  /** Keeps `content` for `lifeMs`. The same `ticketId` again changes nothing, also once it is spent. */
  issue(params: {
    readonly tenantId: string;
    readonly ticketId: string;
    readonly content: string;
    readonly lifeMs: number;
    readonly maxOpen: number;
  }): Promise<IssuedTicket>;
  /**
   * The content, to one `spendId` only; the same `spendId` again gets it again while the ticket lasts and is among the
   * tenant's last 100 that were spent, so that a lost answer loses no ticket.
   */
  spend(params: {
    readonly tenantId: string;
    readonly ticketId: string;
    readonly spendId: string;
  }): Promise<string | undefined>;
}

/** Spent tickets of a tenant that are kept for a repeated `spend`. */
export const KEPT_SPENT_TICKETS = 100;
