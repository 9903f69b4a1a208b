import {
  type IssuedTicket,
  KEPT_SPENT_TICKETS,
  type IssueTicketParams,
  type SpendTicketParams,
} from '../../storage/ticket-store.js';
import { Heap } from '../timers/heap.js';
import type { EngineState } from '../engine-state.js';

interface Ticket {
  readonly tenantId: string;
  readonly id: string;
  readonly expiresAt: number;
  content: string;
  spendId?: string;
}

const expiresBefore = (a: Ticket, b: Ticket) => a.expiresAt < b.expiresAt;

/** Unexpired tickets of one tenant, in order of issue and of use. */
export class TenantTickets {
  readonly open = new Map<string, Ticket>();
  readonly spent = new Map<string, Ticket>();
  /** Open tickets by expiry, and some that were used. */
  readonly byExpiry = new Heap<Ticket>(expiresBefore);
}

/** Tickets of all tenants. A tenant has an entry only while it has a ticket. */
export class TicketBook {
  readonly tenants = new Map<string, TenantTickets>();
  readonly byExpiry = new Heap<Ticket>(expiresBefore);
}

/** One-time tickets. */
export class Tickets {
  private readonly book: TicketBook;

  constructor(private readonly state: EngineState) {
    this.book = state.tickets;
  }

  issue(params: IssueTicketParams): IssuedTicket {
    const { tenantId, ticketId: id, content, lifeMs, maxOpen } = params;
    const now = this.state.now();
    this.forgetExpired(now);
    const tickets = this.book.tenants.get(tenantId) ?? new TenantTickets();
    const known = tickets.open.get(id) ?? tickets.spent.get(id);
    if (known) return { answer: 'issued', expiresAt: known.expiresAt };
    if (tickets.open.size >= maxOpen)
      return { answer: 'too_many', freeAt: firstOpen(tickets)?.expiresAt ?? Number.POSITIVE_INFINITY };
    const ticket = { tenantId, id, content, expiresAt: now + lifeMs };
    tickets.byExpiry.push(ticket);
    tickets.open.set(id, ticket);
    this.book.tenants.set(tenantId, tickets);
    this.book.byExpiry.push(ticket);
    return { answer: 'issued', expiresAt: ticket.expiresAt };
  }

  spend({ tenantId, ticketId, spendId }: SpendTicketParams): string | undefined {
    this.forgetExpired(this.state.now());
    const tickets = this.book.tenants.get(tenantId);
    const ticket = tickets?.open.get(ticketId) ?? tickets?.spent.get(ticketId);
    if (!tickets || !ticket) return undefined;
    if (ticket.spendId !== undefined) return ticket.spendId === spendId ? ticket.content : undefined;
    const { content } = ticket;
    ticket.spendId = spendId;
    tickets.open.delete(ticketId);
    tickets.spent.set(ticketId, ticket);
    const [oldest] = tickets.spent.values();
    if (oldest && tickets.spent.size > KEPT_SPENT_TICKETS) {
      tickets.spent.delete(oldest.id);
      oldest.content = '';
    }
    return content;
  }

  private forgetExpired(now: number): void {
    for (
      let first = this.book.byExpiry.peek();
      first && first.expiresAt <= now;
      first = this.book.byExpiry.peek()
    ) {
      this.book.byExpiry.pop();
      const tickets = this.book.tenants.get(first.tenantId);
      tickets?.open.delete(first.id);
      tickets?.spent.delete(first.id);
      if (tickets) firstOpen(tickets);
      if (tickets && tickets.open.size + tickets.spent.size === 0) this.book.tenants.delete(first.tenantId);
    }
  }
}

/** The open ticket that expires first. Removes used tickets before it, each once. */
function firstOpen({ open, byExpiry }: TenantTickets): Ticket | undefined {
  let first = byExpiry.peek();
  while (first && open.get(first.id) !== first) {
    byExpiry.pop();
    first = byExpiry.peek();
  }
  return first;
}
