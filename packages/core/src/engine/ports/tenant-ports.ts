import type { RateStore } from '../../storage/rate-store.js';
import type { SessionStore } from '../../storage/session-store.js';
import type { TenantStore } from '../../storage/tenant-store.js';
import type { TicketStore } from '../../storage/ticket-store.js';
import type { UsageLedger } from '../../storage/usage-ledger.js';
import type { CommandGate } from '../engine-gate.js';
import { RateBook } from '../tenants/rates.js';
import { cancelAll } from './portions.js';

export function sessionStore(gate: CommandGate): SessionStore {
  return {
    create: async (params) => gate.execute('sessions.create', params),
    get: async (params) => gate.read('sessions.get', params),
    update: async (params) => gate.execute('sessions.update', params),
    append: async (params) => gate.execute('sessions.append', params),
    messages: async (params) => gate.read('sessions.messages', params),
    list: async (params) => gate.read('sessions.list', params),
    async close({ signal, ...params }) {
      const { tenantId, sessionId } = params;
      const closed = await gate.execute('sessions.close', params);
      if (closed.answer === 'not_found') return closed;
      const { more, ...answer } = closed;
      if (more) await cancelAll(gate, { tenantId, group: { sessionId } }, signal);
      return answer;
    },
  };
}

export function tenantStore(gate: CommandGate): TenantStore {
  return {
    get: async (params) => gate.read('tenants.get', params),
    configure: async (params) => gate.execute('tenants.configure', params),
    list: async (params) => gate.read('tenants.list', params),
  };
}

export function ticketStore(gate: CommandGate): TicketStore {
  return {
    issue: async (params) => gate.execute('tickets.issue', params),
    spend: async (params) => gate.execute('tickets.spend', params),
  };
}

/** Outside of the engine's state: see `RateBook`. */
export function rateStore(gate: CommandGate): RateStore {
  const book = new RateBook(gate.clock);
  return {
    lease: async (params) => {
      const { settings } = await gate.read('tenants.get', { tenantId: params.tenantId });
      return book.lease(params, settings.rates);
    },
  };
}

export function usageLedger(gate: CommandGate): UsageLedger {
  return {
    add: async (params) => gate.execute('usage.add', params),
    sum: async (params) => gate.read('usage.sum', params),
  };
}
