/** Result of `issue`. */
export type IssuedTicket =
  | { readonly answer: 'issued'; readonly expiresAt: number }
  /** `maxOpen` tickets of the tenant are open; the earliest expires at `freeAt`, epoch ms. */
  | { readonly answer: 'too_many'; readonly freeAt: number };

/** Params of `TicketStore.issue`. */
export interface IssueTicketParams {
  readonly tenantId: string;
  readonly ticketId: string;
  readonly content: string;
  readonly lifeMs: number;
  readonly maxOpen: number;
}

/** Params of `TicketStore.spend`. */
export interface SpendTicketParams {
  readonly tenantId: string;
  readonly ticketId: string;
  readonly spendId: string;
}

/**
 * Single-use tickets of tenants with opaque content. A ticket is open until it is spent or expires.
 */
export interface TicketStore {
  /** Stores `content` for `lifeMs`. Idempotent by `ticketId`, even after the ticket was spent. */
  issue(params: IssueTicketParams): Promise<IssuedTicket>;
  /**
   * Returns the content to one `spendId` only. Repeating that `spendId` returns it again until the ticket expires, for the
   * tenant's last 100 spent tickets, so that a lost answer loses no ticket.
   */
  spend(params: SpendTicketParams): Promise<string | undefined>;
}

/** Spent tickets kept per tenant for a repeated `spend`. */
export const KEPT_SPENT_TICKETS = 100;
