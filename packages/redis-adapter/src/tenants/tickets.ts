import {
  type IssuedTicket,
  KEPT_SPENT_TICKETS,
  type TicketStore,
  type IssueTicketParams,
  type SpendTicketParams,
} from '@agent-orchestrator/core/storage';
import type { RedisState } from '../scripts/tenant-steps.js';

/** Tickets in Redis, among the keys of their tenant, all of which expire. */
export class RedisTickets implements TicketStore {
  constructor(private readonly state: RedisState) {}

  async issue(params: IssueTicketParams): Promise<IssuedTicket> {
    const { tenantId, ticketId, content, lifeMs, maxOpen } = params;
    const reply = await this.#run('issueTicket', tenantId, ticketId, content, lifeMs, maxOpen);
    const [isIssued, at] = reply as [number, number];
    return isIssued === 1 ? { answer: 'issued', expiresAt: at } : { answer: 'too_many', freeAt: at };
  }

  async spend(params: SpendTicketParams): Promise<string | undefined> {
    const { tenantId, ticketId, spendId } = params;
    const reply = await this.#run('spendTicket', tenantId, ticketId, spendId, KEPT_SPENT_TICKETS);
    return (reply as string | null) ?? undefined;
  }

  #run(name: 'issueTicket' | 'spendTicket', tenantId: string, ...args: readonly (string | number)[]) {
    this.state.checkOpen();
    const { scripts, keys } = this.state.parts;
    return scripts.run(name, [keys.tickets(tenantId)], [this.state.now, ...args]);
  }
}
