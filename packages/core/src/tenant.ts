import type { TenantEvents } from './events/tenant-events.js';
import type { JsonObject, JsonValue } from './protocol/json.js';
import type { Message, MessageRole, Session } from './protocol/session.js';
import type { Batch, ChatRequest, Task, TaskStatus, TaskSubmission } from './protocol/task.js';
import type { SessionManager } from './sessions/session-manager.js';
import type { SessionState } from './storage/session-store.js';
import type { Explanation } from './storage/task-records.js';
import type {
  IssuedTicket,
  TicketStore,
  IssueTicketParams,
  SpendTicketParams,
} from './storage/ticket-store.js';
import type { UsageLedger, UsageRow } from './storage/usage-ledger.js';
import type { Accepted, GlobalTaskRegistry } from './tasks/global-task-registry.js';

export interface IdempotencyOptions {
  /** The same key with the same body gives the same answer for 24 h. */
  readonly idempotencyKey?: string | undefined;
}

/** Tasks of one tenant. */
class TenantTasks {
  constructor(
    private readonly registry: GlobalTaskRegistry,
    private readonly tenantId: string,
  ) {}

  /** Submits a task; durable once this resolves. Errors: see `GlobalTaskRegistry.submit`. */
  async submit(submission: TaskSubmission, options: IdempotencyOptions = {}): Promise<Task> {
    return (await this.accept(submission, options)).task;
  }

  /** Like `submit`, with `replayed` (the task existed) and the `cursor` to follow it from. */
  accept(body: TaskSubmission, { idempotencyKey }: IdempotencyOptions = {}): Promise<Accepted> {
    return this.registry.submit({ tenantId: this.tenantId, body, idempotencyKey });
  }

  /** @throws {OrchestratorError} `not_found` */
  get(taskId: string): Promise<Task> {
    return this.registry.get({ tenantId: this.tenantId, taskId });
  }

  /** Newest first; `limit` 1 to 500, default 50. `cursor`: the `next` of the previous page. */
  list(
    filter: {
      readonly status?: string;
      readonly type?: string;
      readonly session_id?: string;
      readonly cursor?: string;
      readonly limit?: number;
    } = {},
  ): Promise<{ readonly tasks: readonly Task[]; readonly next?: string }> {
    const { status, type, session_id: sessionId, cursor: after, limit } = filter;
    return this.registry.list({ tenantId: this.tenantId, status, type, sessionId, after, limit });
  }

  /** Number of tasks by status. */
  counts(): Promise<Readonly<Record<TaskStatus, number>>> {
    return this.registry.counts({ tenantId: this.tenantId });
  }

  /**
   * Requests cancellation; a running task has a grace period of 30 s.
   * @throws {OrchestratorError} `conflict` if it has completed or failed.
   */
  cancel(taskId: string, { reason }: { readonly reason?: string | undefined } = {}): Promise<Task> {
    return this.registry.cancel({ tenantId: this.tenantId, taskId, reason });
  }

  /** Sends a signal to a workflow; idempotent by key. Errors: see `GlobalTaskRegistry.signal`. */
  signal(
    taskId: string,
    name: string,
    payload?: JsonValue,
    { idempotencyKey }: IdempotencyOptions = {},
  ): Promise<void> {
    return this.registry.signal({ tenantId: this.tenantId, taskId, name, payload, idempotencyKey });
  }

  /** Resolves with the final task, or with its current state after `timeoutMs` or when `signal` fires. */
  wait(
    taskId: string,
    options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<Task> {
    return this.registry.wait({ tenantId: this.tenantId, taskId, ...options });
  }

  /** Resubmits a failed task as a new task that inherits its successful steps. Idempotent. */
  redrive(taskId: string): Promise<Task> {
    return this.registry.redrive({ tenantId: this.tenantId, taskId });
  }

  /** State of a task and the reason for it, for operators. */
  explain(taskId: string): Promise<Explanation> {
    return this.registry.explain({ tenantId: this.tenantId, taskId });
  }
}

/** Sessions of one tenant. */
class TenantSessions {
  constructor(
    private readonly sessions: SessionManager,
    private readonly tenantId: string,
  ) {}

  create(
    body: {
      readonly session_id?: string | undefined;
      readonly agent_id?: string | undefined;
      readonly context?: JsonObject | undefined;
    } = {},
    { idempotencyKey }: IdempotencyOptions = {},
  ): Promise<{ readonly session: Session; readonly created: boolean; readonly replayed: boolean }> {
    const { session_id, agent_id, context } = body;
    return this.sessions.create({
      tenantId: this.tenantId,
      ...(session_id !== undefined && { sessionId: session_id }),
      ...(agent_id !== undefined && { agentId: agent_id }),
      ...(context && { context }),
      idempotencyKey,
    });
  }

  get(sessionId: string): Promise<SessionState> {
    return this.sessions.get({ tenantId: this.tenantId, sessionId });
  }

  update(
    sessionId: string,
    change: { readonly agent_id?: string | undefined; readonly context?: JsonObject | undefined },
    options: { readonly rev?: number | undefined } = {},
  ): Promise<Session> {
    return this.sessions.update({
      tenantId: this.tenantId,
      sessionId,
      ...(change.agent_id !== undefined && { agentId: change.agent_id }),
      ...(change.context && { context: change.context }),
      ...(options.rev !== undefined && { rev: options.rev }),
    });
  }

  append(
    sessionId: string,
    message: { readonly role: MessageRole; readonly content: string },
  ): Promise<Message> {
    return this.sessions.append({ tenantId: this.tenantId, sessionId, message });
  }

  messages(
    sessionId: string,
    options: { readonly limit?: number; readonly before?: string } = {},
  ): Promise<readonly Message[]> {
    return this.sessions.messages({ tenantId: this.tenantId, sessionId, ...options });
  }

  /** Like `messages`, with `next` if older messages exist: the `before` of the next page. */
  messagePage(
    sessionId: string,
    options: { readonly limit?: number; readonly before?: string } = {},
  ): Promise<{ readonly messages: readonly Message[]; readonly next?: string }> {
    return this.sessions.messagePage({ tenantId: this.tenantId, sessionId, ...options });
  }

  list(
    options: {
      readonly status?: 'active' | 'closed';
      readonly cursor?: string;
      readonly limit?: number;
    } = {},
  ): Promise<{ readonly sessions: readonly Session[]; readonly next?: string }> {
    const { cursor, ...rest } = options;
    return this.sessions.list({
      tenantId: this.tenantId,
      ...rest,
      ...(cursor !== undefined && { after: cursor }),
    });
  }

  close(sessionId: string): Promise<Session> {
    return this.sessions.close({ tenantId: this.tenantId, sessionId });
  }
}

/** Batches of one tenant: many requests under one id. */
class TenantBatches {
  constructor(
    private readonly registry: GlobalTaskRegistry,
    private readonly tenantId: string,
  ) {}

  submit(
    body: {
      readonly requests: readonly JsonValue[];
      readonly max_in_flight?: number | undefined;
      readonly fail_fast?: boolean | undefined;
    },
    { idempotencyKey }: IdempotencyOptions = {},
  ): Promise<{ readonly batch: Batch; readonly replayed: boolean }> {
    return this.registry.submitBatch({ tenantId: this.tenantId, body, idempotencyKey });
  }

  /** Counts, and a page of items from `cursor` (the `next` of the previous page) on. `results` (default `false`): include results. */
  get(
    batchId: string,
    { results, cursor: after }: { readonly results?: boolean; readonly cursor?: string } = {},
  ): Promise<Batch> {
    return this.registry.getBatch({ tenantId: this.tenantId, batchId, results, after });
  }

  cancel(batchId: string, { reason }: { readonly reason?: string | undefined } = {}): Promise<Batch> {
    return this.registry.cancelBatch({ tenantId: this.tenantId, batchId, reason });
  }
}

/** The API of one tenant. No data is reachable without a tenant. */
export class TenantHandle {
  readonly tasks: TenantTasks;
  readonly sessions: TenantSessions;
  readonly batches: TenantBatches;
  readonly usage: {
    sum(range: { readonly from: string; readonly to: string }): Promise<readonly UsageRow[]>;
  };

  /** Single-use tickets: see `TicketStore`. */
  readonly tickets: {
    issue(ticket: Omit<IssueTicketParams, 'tenantId'>): Promise<IssuedTicket>;
    spend(ticket: Omit<SpendTicketParams, 'tenantId'>): Promise<string | undefined>;
  };

  constructor(
    readonly tenantId: string,
    private readonly parts: {
      readonly registry: GlobalTaskRegistry;
      readonly sessions: SessionManager;
      readonly usage: UsageLedger;
      readonly tickets: TicketStore;
    },
    /** Live updates. */
    readonly events: TenantEvents,
  ) {
    this.tasks = new TenantTasks(parts.registry, tenantId);
    this.sessions = new TenantSessions(parts.sessions, tenantId);
    this.batches = new TenantBatches(parts.registry, tenantId);
    this.usage = { sum: (range) => parts.usage.sum({ tenantId, ...range }) };
    this.tickets = {
      issue: (ticket) => parts.tickets.issue({ tenantId, ...ticket }),
      spend: (ticket) => parts.tickets.spend({ tenantId, ...ticket }),
    };
  }

  /** Stores a user's message with the task that answers it. Without `session_id`, creates a session. */
  chat(body: ChatRequest, { idempotencyKey }: IdempotencyOptions = {}): Promise<Accepted> {
    return this.parts.registry.chat({ tenantId: this.tenantId, body, idempotencyKey });
  }
}

export type { TenantBatches, TenantSessions, TenantTasks };
