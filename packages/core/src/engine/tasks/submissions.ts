import { bytesOf, isSameJson, readJson } from '../kept-json.js';
import type { Task } from '../../protocol/task.js';
import { TASK_TEXTS } from '../../protocol/task-texts.js';
import type {
  BatchSubmission,
  NewTask,
  Submission,
  SubmitAnswer,
  BudgetRefusal,
  TrackedCall,
  RedriveParams,
  RedriveResult,
  RegisterParams,
  RegisterResult,
  SubmitBatchParams,
  SubmitBatchResult,
  SubmitParams,
} from '../../storage/task-records.js';
import { refusedItem } from '../../storage/item-refusals.js';
import { isFinalState } from '../../protocol/task-state.js';
import { UNLIMITED } from '../unlimited.js';
import { ConcurrencyGroup } from '../queue/concurrency-group.js';
import { isSameRequest, rememberKey } from './idempotency.js';
import type { EngineState } from '../engine-state.js';
import type { Sessions } from '../sessions/sessions.js';
import type { TaskLife } from './task-life.js';
import { viewBatch } from './batch-view.js';
import { viewTask } from './task-view.js';
import { type CallEntry, type Origin, REDRIVEN_ERA, TaskEntry } from './task-entry.js';
import { takeCall, type TokensTaken } from '../tenants/call-rates.js';
import { exhaustedUntil, isBudgetSpent, reserveBudget } from '../tenants/budgets.js';
import { type BatchEntry, jobKey, mayUse, type TenantState } from '../tenants/tenant-state.js';

type LimitRefusal = BudgetRefusal | { readonly answer: 'type_forbidden' };
type Refusal = LimitRefusal | { readonly answer: 'session_closed' | 'session_busy' };

const NO_ORIGIN: Origin = {};

/** Creation of tasks: submit, batch, register, redrive. */
export class Submissions {
  constructor(
    private readonly state: EngineState,
    private readonly life: TaskLife,
    private readonly sessions: Sessions,
  ) {}

  submit(params: SubmitParams): SubmitAnswer {
    const { tenantId, submission, idempotency, maxWaiting } = params;
    const tenant = this.state.tenant(tenantId);
    const known = idempotency && tenant.idempotency.get(idempotency.key);
    if (known) {
      if (!isSameRequest(known, idempotency) || !('spec' in known.entry)) {
        return { answer: 'idempotency_conflict' };
      }
      // A task that was removed since: the request is a new one.
      if (tenant.tasks.get(known.entry.spec.task_id) === known.entry)
        return this.stored('replayed', tenant, known.entry);
    }
    const same = tenant.tasks.get(submission.task.task_id);
    if (same)
      return same.spec.type === submission.task.type
        ? this.stored('replayed', tenant, same)
        : { answer: 'conflict' };
    if (this.isFull(tenant, 1, maxWaiting)) return { answer: 'queue_full' };
    const refusal = this.refusal(tenant, submission);
    if (refusal) return refusal;
    const entry = this.store(tenant, submission);
    if (idempotency) rememberKey(this.state, tenant, idempotency, entry);
    return this.stored('submitted', tenant, entry);
  }

  submitBatch(params: SubmitBatchParams): SubmitBatchResult {
    const { tenantId, batch, idempotency, maxWaiting } = params;
    const tenant = this.state.tenant(tenantId);
    const known = idempotency && tenant.idempotency.get(idempotency.key);
    if (known) {
      if (!isSameRequest(known, idempotency) || !('items' in known.entry))
        return { answer: 'idempotency_conflict' };
      return { answer: 'replayed', batch: viewBatch(tenant, known.entry, this.state.limits.pageBytes) };
    }
    if (this.isFull(tenant, batch.items.length, maxWaiting)) return { answer: 'queue_full' };
    const entry = this.storeBatch(tenant, batch);
    if (idempotency) rememberKey(this.state, tenant, idempotency, entry);
    return { answer: 'submitted', batch: viewBatch(tenant, entry, this.state.limits.pageBytes) };
  }

  /** Whether `tasks` more would exceed the queue limit, or the tenant stores too much. */
  private isFull(tenant: TenantState, tasks: number, maxWaiting: number): boolean {
    return (
      tenant.counts.pending + tasks > (tenant.settings.maxWaiting ?? maxWaiting) ||
      this.state.holdsTooMuch(tenant)
    );
  }

  private storeBatch(tenant: TenantState, batch: BatchSubmission): BatchEntry {
    const entry: BatchEntry = {
      batchId: batch.batchId,
      createdAt: this.state.now(),
      failFast: batch.failFast,
      group: new ConcurrencyGroup(batch.maxInFlight, false),
      items: [],
      passed: 0,
    };
    tenant.batches.set(batch.batchId, entry);
    for (const item of batch.items) {
      if ('error' in item) {
        entry.items.push(structuredClone(item.error));
        continue;
      }
      const taken = tenant.tasks.has(item.task.task_id);
      const refusal = taken ? ({ answer: 'conflict' } as const) : this.refusal(tenant, item);
      if (refusal) entry.items.push(refusedItem(refusal.answer, item.task));
      else this.store(tenant, item, { batch: entry });
    }
    const { tenantId } = tenant;
    this.state.schedule('batch', entry.createdAt + this.state.limits.retentionMs, {
      tenantId,
      id: batch.batchId,
    });
    return entry;
  }

  register(params: RegisterParams): RegisterResult {
    const tenant = this.state.tenant(params.tenantId);
    const same = tenant.tasks.get(params.task.task_id);
    if (same) return { ...this.stored('replayed', tenant, same), answer: 'replayed' };
    if (this.isFull(tenant, tenant.counts.processing + 1, params.maxWaiting)) return { answer: 'queue_full' };
    const refusal = this.registerRefusal(tenant, params);
    if (refusal) return refusal;
    const taking = params.call && takeCall(this.state, tenant, params.call, 0);
    if (taking && taking.waitMs > 0) return { answer: 'rate_limited', retryAfterMs: taking.waitMs };
    const entry = this.create(tenant, params.task, NO_ORIGIN);
    entry.state = 'tracked';
    tenant.counts.processing += 1;
    entry.attempt = 1;
    entry.startedAt = entry.createdAt;
    if (params.call) this.addTrackedCall(tenant, entry, { ...params.call, taken: taking?.taken });
    this.life.emit(tenant, entry, 'task_created', createdData(params.task));
    this.life.emit(tenant, entry, 'task_started', { attempt: 1 });
    return { ...this.stored('submitted', tenant, entry), answer: 'registered' };
  }

  /** A child task is bound by the budgets of its parents, another by those of the tenant. */
  private registerRefusal(
    tenant: TenantState,
    { task, call }: RegisterParams,
  ): Exclude<RegisterResult, { readonly task: Task }> | undefined {
    if (!call && !mayUse(tenant.settings.types, task.type)) return { answer: 'type_forbidden' };
    if (call && !mayUse(tenant.settings.services, call.service)) return { answer: 'service_forbidden' };
    const { parent_task_id: parentId } = task;
    const parent = parentId === undefined ? undefined : tenant.tasks.get(parentId);
    if (parent && isBudgetSpent(tenant, parent)) return { answer: 'task_budget_exceeded' };
    // What a live task does was admitted with it.
    if (parent && !isFinalState(parent.state)) return undefined;
    const retryAt = exhaustedUntil(this.state, tenant, task.budgetTokens);
    return retryAt === undefined ? undefined : { answer: 'budget_exceeded', retryAt };
  }

  private addTrackedCall(
    tenant: TenantState,
    entry: TaskEntry,
    tracked: TrackedCall & { readonly taken: TokensTaken | undefined },
  ): void {
    const { callId, service, operation, jobId, silenceMs, taken } = tracked;
    const call: CallEntry = {
      callId,
      stepKey: callId,
      service,
      operation,
      silenceMs,
      retryDelayMs: 0,
      state: jobId === undefined ? 'sending' : 'waiting',
      ...(taken && { taken }),
    };
    entry.ownJournal.steps.set(callId, {
      key: callId,
      kind: 'call',
      name: `${service}.${operation}`,
      maxTries: 1,
      calls: [call],
      rev: 0,
      outcome: undefined,
      outcomeBytes: 0,
      endedAt: undefined,
      retryAt: undefined,
      dueAt: undefined,
      signal: undefined,
      era: 0,
    });
    tenant.calls.set(callId, { entry, call });
    if (jobId === undefined) {
      tenant.sending.set(service, (tenant.sending.get(service) ?? 0) + 1);
      return;
    }
    call.jobId = jobId;
    tenant.jobs.set(jobKey(service, jobId), callId);
    if (silenceMs < UNLIMITED) {
      call.silentAt = this.state.now() + silenceMs;
      const { tenantId } = tenant;
      this.state.schedule('step', call.silentAt, { tenantId, id: entry.spec.task_id, step: callId });
    }
  }

  redrive(params: RedriveParams): RedriveResult {
    const tenant = this.state.lookUp(params.tenantId);
    const old = tenant.tasks.get(params.taskId);
    if (!old) return { answer: 'not_found' };
    if (old.state !== 'failed' || old.startedAt === undefined) return { answer: 'not_failed' };
    const known = old.redrivenTo === undefined ? undefined : tenant.tasks.get(old.redrivenTo);
    if (known) {
      const isOther = params.payload !== undefined && !isSameJson(known.payload, params.payload);
      if (isOther) return { answer: 'other_payload' };
      return { answer: 'redriven', task: viewTask(tenant.tenantId, known) };
    }
    // Its new task has ended and is no longer kept: what it has done is not to be done again.
    if (old.redrivenTo !== undefined) return { answer: 'not_failed' };
    if (this.isFull(tenant, 1, params.maxWaiting)) return { answer: 'queue_full' };
    const { runAt: _, ...spec } = old.spec;
    const refusal = this.limitRefusal(tenant, spec);
    if (refusal) return refusal;
    old.redrivenTo = params.newTaskId;
    const { payload: other, newTaskId: task_id } = params;
    const payload = other === undefined ? readJson(old.payload) : other;
    const inherited = other === undefined && {
      seed: old.seed,
      startedAt: old.startedAt,
      version: old.version,
    };
    const entry = this.store(
      tenant,
      { task: { ...spec, payload, task_id }, onBusy: 'enqueue' },
      { redrivenFrom: params.taskId, ...inherited },
    );
    if (inherited) this.inherit(old, entry);
    return { answer: 'redriven', task: viewTask(tenant.tenantId, entry) };
  }

  /** The successes of a dead letter's journal. */
  private inherit(old: TaskEntry, entry: TaskEntry): void {
    for (const step of old.journal.steps.values()) {
      if (!step.outcome?.ok) continue;
      const journal = entry.ownJournal;
      entry.charge(bytesOf(step.outcome.value));
      journal.steps.set(step.key, { ...step, calls: [], era: REDRIVEN_ERA });
      journal.rev = Math.max(journal.rev, step.rev);
      journal.bytes += step.outcomeBytes;
    }
    entry.inherited = entry.journal.rev;
  }

  private refusal(tenant: TenantState, submission: Submission): Refusal | undefined {
    const { session_id } = submission.task;
    const session = session_id === undefined ? undefined : tenant.sessions.get(session_id);
    if (session?.session.status === 'closed') return { answer: 'session_closed' };
    if (session && submission.onBusy === 'reject' && session.live.size > 0) return { answer: 'session_busy' };
    return this.limitRefusal(tenant, submission.task);
  }

  private limitRefusal(
    tenant: TenantState,
    { type, budgetTokens }: Pick<NewTask, 'type' | 'budgetTokens'>,
  ): LimitRefusal | undefined {
    if (!mayUse(tenant.settings.types, type)) return { answer: 'type_forbidden' };
    const retryAt = exhaustedUntil(this.state, tenant, budgetTokens);
    return retryAt === undefined ? undefined : { answer: 'budget_exceeded', retryAt };
  }

  private store(
    tenant: TenantState,
    { task, onBusy, message }: Submission,
    origin: Origin = NO_ORIGIN,
  ): TaskEntry {
    const entry = this.create(tenant, task, origin);
    if (task.session_id !== undefined) {
      const session = this.sessions.open(tenant, task.session_id, task.agent_id);
      if (onBusy === 'interrupt') {
        for (const running of [...session.group.holders]) {
          this.life.cancel(tenant, running, TASK_TEXTS.interrupted, this.state.limits.cancelGraceMs);
        }
      }
      session.live.add(entry);
      if (onBusy !== 'parallel') entry.groups = [session.group];
      if (message) this.sessions.add(tenant, session, { ...message, task_id: task.task_id });
    }
    if (origin.batch) {
      origin.batch.items.push(entry);
      entry.groups = [...entry.groups, origin.batch.group];
    }
    if (task.runAt !== undefined && task.runAt > entry.createdAt) {
      entry.state = 'scheduled';
      entry.dueAt = task.runAt;
      this.state.schedule('start', task.runAt, entry);
    } else {
      entry.state = this.life.joinGroups(tenant, entry, 'submit');
    }
    tenant.counts.pending += 1;
    this.life.emit(tenant, entry, 'task_created', createdData(task), entry.createdAt);
    if (entry.state === 'ready') this.life.enqueue(tenant, entry);
    return entry;
  }

  /** Creates and indexes the entry with its deadline timer; does not count, enqueue or emit it. */
  private create(tenant: TenantState, task: NewTask, origin: Origin): TaskEntry {
    const now = this.state.now();
    const deadlineAt = Math.max(now, task.runAt ?? 0) + task.timeoutMs;
    const entry = new TaskEntry(tenant, task, now, tenant.events.seq + 1, origin);
    tenant.tasks.set(task.task_id, entry);
    reserveBudget(tenant, entry);
    tenant.tasksInOrder.add(entry.sequence, entry);
    this.state.schedule('deadline', deadlineAt, entry);
    return entry;
  }

  private stored<A extends 'submitted' | 'replayed'>(
    answer: A,
    tenant: TenantState,
    entry: TaskEntry,
  ): { answer: A; task: Task; cursor: string } {
    return { answer, task: viewTask(tenant.tenantId, entry), cursor: tenant.events.head };
  }
}

function createdData(task: NewTask) {
  return {
    type: task.type,
    priority: task.priority,
    ...(task.session_id !== undefined && { session_id: task.session_id }),
  };
}
