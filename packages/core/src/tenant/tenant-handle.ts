import type { TenantEvents } from '../events/tenant-events.js';
import type { JsonValue } from '../protocol/json.js';
import type { ChatRequest } from '../protocol/task.js';
import type { SessionManager } from '../sessions/session-manager.js';
import type {
  IssuedTicket,
  IssueTicketParams,
  SpendTicketParams,
  TicketStore,
} from '../storage/ticket-store.js';
import type { LeaseRateParams, RateLease, RateStore } from '../storage/rate-store.js';
import type { UsageSum } from '../storage/usage-ledger.js';
import type { OrchestratorUsage, TokenUsage, UsageQuery } from '../usage/orchestrator-usage.js';
import type { GlobalTaskRegistry } from '../tasks/global-task-registry.js';
import { request, type RequestOptions } from './submit-options.js';
import { type HandlePorts, SubmittedTask } from './task-handle.js';
import { TenantBatches } from './tenant-batches.js';
import { TenantSessions } from './tenant-sessions.js';
import { TenantTasks } from './tenant-tasks.js';

/** The API of one tenant. No data is reachable without a tenant. */
export class TenantHandle {
  readonly tasks: TenantTasks;
  readonly sessions: TenantSessions;
  readonly batches: TenantBatches;
  readonly usage: {
    sum(range?: Omit<UsageQuery, 'tenant'>): Promise<readonly UsageSum[]>;
    trackTokenUsage(usage: Omit<TokenUsage, 'tenant'>): Promise<void>;
  };

  /** Single-use tickets: see `TicketStore`. */
  readonly tickets: {
    issue(ticket: Omit<IssueTicketParams, 'tenantId'>): Promise<IssuedTicket>;
    spend(ticket: Omit<SpendTicketParams, 'tenantId'>): Promise<string | undefined>;
  };

  /** Allowances shared by all processes: see `RateStore`. */
  readonly rates: { lease(params: Omit<LeaseRateParams, 'tenantId'>): Promise<RateLease> };

  readonly #ports: HandlePorts;

  constructor(
    readonly tenantId: string,
    parts: {
      readonly registry: GlobalTaskRegistry;
      readonly sessions: SessionManager;
      readonly usage: OrchestratorUsage;
      readonly tickets: TicketStore;
      readonly rates: RateStore;
    },
    /** Live updates. */
    readonly events: TenantEvents,
  ) {
    const { registry } = parts;
    this.#ports = { tenantId, registry, events };
    this.tasks = new TenantTasks(this.#ports);
    this.sessions = new TenantSessions(parts.sessions, tenantId);
    this.batches = new TenantBatches(registry, tenantId);
    this.usage = {
      sum: (range = {}) => parts.usage.sum({ tenant: tenantId, ...range }),
      trackTokenUsage: (usage) => parts.usage.trackTokenUsage({ ...usage, tenant: tenantId }),
    };
    this.rates = { lease: (params) => parts.rates.lease({ tenantId, ...params }) };
    this.tickets = {
      issue: (ticket) => parts.tickets.issue({ tenantId, ...ticket }),
      spend: (ticket) => parts.tickets.spend({ tenantId, ...ticket }),
    };
  }

  /** Stores a user's message with the task that answers it. Without `session_id`, creates a session. */
  async chat<R = JsonValue>(body: ChatRequest, options: RequestOptions = {}): Promise<SubmittedTask<R>> {
    const { tenantId, registry } = this.#ports;
    const submitted = await request(options, (idempotencyKey) =>
      registry.chat({ tenantId, body, idempotencyKey }),
    );
    return new SubmittedTask(this.#ports, submitted);
  }
}
