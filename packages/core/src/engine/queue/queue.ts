import { bytesOf } from '../kept-json.js';
import type {
  Claim,
  Runnable,
  Settlement,
  ClaimParams,
  Lease,
  RenewParams,
  SettleParams,
  SettleResult,
  WakeParams,
  WakeResult,
} from '../../storage/task-queue.js';
import { TASK_TEXTS, taskText } from '../../protocol/task-texts.js';
import type { EngineState, LastClaim, WorkerState } from '../engine-state.js';
import { MessagesOfClaim } from './claimed-messages.js';
import type { Sessions } from '../sessions/sessions.js';
import { cancelledError, isSuspect, type TaskLife } from '../tasks/task-life.js';
import { viewSteps, viewTask } from '../tasks/task-view.js';
import type { CallEntry, StepEntry, TaskEntry } from '../tasks/task-entry.js';
import type { TenantState } from '../tenants/tenant-state.js';

/** Maximum number of tasks claimed from one tenant in a row while others are ready. */
const TURN = 16;
/** Every n-th claim of a tenant takes its oldest ready task, whatever its priority. */
const OLDEST_EVERY = 10;

/** Estimated overhead of a step besides its outcome, in bytes. */
const STEP_BYTES = 512;

/** A payload counts towards the page limit of a claim only above `pageBytes / 64`. */
const SMALL_TASKS_A_PAGE = 64;

/** Remaining budget of a claim, and what it has taken. */
interface Budget {
  readonly taken: TaskEntry[];
  journalBytes: number;
  /** For large payloads. */
  payloadBytes: number;
  /** A task was skipped because its payload exceeded the rest of the budget. */
  isFull: boolean;
  readonly messages: MessagesOfClaim;
}

interface Claiming {
  readonly workerId: string;
  readonly claimId: string;
  readonly leaseMs: number;
  readonly begins?: number;
}

/** Claims and leases of tasks, and the ends of runs. */
export class Queue {
  constructor(
    private readonly state: EngineState,
    private readonly life: TaskLife,
    private readonly sessions: Sessions,
  ) {}

  claim(params: Omit<ClaimParams, 'waitMs' | 'signal'>): readonly Claim[] {
    const worker = this.state.worker(params.workerId, params.runs);
    const { claimSlot = params.workerId, claimId } = params;
    const last = worker.lastClaims.get(claimSlot);
    const { pageBytes } = this.state.limits;
    const isRepeat = last?.claimId === claimId;
    const messages = new MessagesOfClaim(this.state, isRepeat ? [] : params.readsMessages);
    const bytes = { journalBytes: pageBytes, payloadBytes: pageBytes };
    const budget: Budget = { taken: [], ...bytes, isFull: false, messages };
    if (isRepeat) return this.takenAgain(last, budget);
    const claims: Claim[] = [];
    const passedOver: TenantState[] = [];
    while (claims.length < params.max) {
      const tenant = this.state.rotation.pop();
      if (!tenant) break;
      tenant.inRotation = false;
      if (tenant.queued === 0 || tenant.room <= 0) continue;
      this.state.virtualTime = tenant.virtualTime;
      const turn = this.state.rotation.size > 0 ? TURN : params.max;
      const most = Math.min(params.max - claims.length, turn);
      const taken = this.claimOf(tenant, most, worker, params, claims.length, budget);
      claims.push(...taken);
      if (tenant.queued === 0 || tenant.room <= 0) continue;
      if (taken.length === 0) passedOver.push(tenant);
      else this.return(tenant);
      if (budget.isFull) break;
    }
    for (const tenant of passedOver) this.return(tenant);
    // A short answer would look like an empty queue to the worker.
    if (budget.isFull) this.state.publish({ kind: 'ready' });
    worker.lastClaims.set(claimSlot, { claimId, taken: budget.taken });
    return claims;
  }

  private return(tenant: TenantState): void {
    tenant.inRotation = true;
    this.state.rotation.push(tenant);
  }

  /** @param before number of tasks that the claim already has. */
  private claimOf(
    tenant: TenantState,
    most: number,
    worker: WorkerState,
    params: Claiming,
    before: number,
    budget: Budget,
  ): Claim[] {
    const { begins = Number.POSITIVE_INFINITY } = params;
    const claims: Claim[] = [];
    while (claims.length < most && tenant.room > 0) {
      const next = nextFor(tenant, worker);
      if (!next) break;
      budget.isFull = !this.mayBring(next, before + claims.length, budget);
      if (budget.isFull) break;
      const prefetched = before + claims.length >= begins;
      claims.push(this.lease(tenant, next, worker, params, prefetched, budget));
    }
    // Weighted fair queueing: a claim costs virtual time in inverse proportion to the weight.
    tenant.virtualTime += claims.length / tenant.settings.weight;
    return claims;
  }

  /** A claim has a budget of payload bytes, but always takes one task; small payloads are free. */
  private mayBring({ payload }: TaskEntry, before: number, budget: Budget): boolean {
    const bytes = bytesOf(payload);
    if (bytes <= this.state.limits.pageBytes / SMALL_TASKS_A_PAGE) return true;
    if (before > 0 && bytes > budget.payloadBytes) return false;
    budget.payloadBytes -= bytes;
    return true;
  }

  private lease(
    tenant: TenantState,
    entry: TaskEntry,
    worker: WorkerState,
    { workerId, claimId, leaseMs }: Claiming,
    prefetched: boolean,
    budget: Budget,
  ): Claim {
    const now = this.state.now();
    const wasWoken = entry.state === 'woken';
    this.life.dequeue(tenant, entry);
    this.life.move(tenant, entry, 'leased', 'claim', now);
    // The claim id is random and never used for this task again: as good as a token.
    this.life.lease(tenant, entry, { token: claimId, workerId, expiresAt: now + leaseMs, prefetched });
    entry.resumes = wasWoken;
    entry.version ??= newest(worker.runnables.get(entry.spec.type));
    entry.startedAt ??= now;
    tenant.claimed += 1;
    if (isSuspect(entry)) worker.suspect = entry.spec.task_id;
    if (!wasWoken) {
      entry.attempt += 1;
      this.life.emit(tenant, entry, 'task_started', { attempt: entry.attempt }, now);
    }
    budget.taken.push(entry);
    return this.view(entry, claimId, prefetched, budget);
  }

  /** The tasks of a repeated claim, as they are now; without those whose lease has ended. */
  private takenAgain({ claimId, taken }: LastClaim, budget: Budget): readonly Claim[] {
    const held = taken.filter(({ lease }) => lease?.token === claimId);
    return held.map((entry) => this.view(entry, claimId, entry.lease?.prefetched === true, budget));
  }

  private view(entry: TaskEntry, token: string, prefetched: boolean, budget: Budget): Claim {
    const sessionMessages = prefetched ? undefined : budget.messages.of(entry);
    return {
      task: viewTask(entry.tenant.tenantId, entry),
      token,
      version: entry.version ?? 1,
      startedAt: entry.startedAt ?? entry.createdAt,
      seed: entry.seed,
      ...this.journalOf(entry, budget),
      replayedTo: entry.replayedTo,
      inherited: entry.inherited,
      prefetched,
      ...(sessionMessages && { sessionMessages }),
    };
  }

  /** The worker reads a journal itself that exceeds the rest of the budget. */
  private journalOf(entry: TaskEntry, budget: Budget): Pick<Claim, 'steps' | 'journalRev' | 'unread'> {
    const { bytes, steps, rev } = entry.journal;
    const size = bytes + STEP_BYTES * steps.size;
    if (size > budget.journalBytes) return { steps: [], journalRev: 0, unread: true };
    budget.journalBytes -= size;
    return { steps: viewSteps(entry), journalRev: rev };
  }

  renew(params: RenewParams): readonly Lease[] {
    return params.leases.filter(({ tenantId, taskId, token, begun }) => {
      const lease = this.state.lookUp(tenantId).leased.get(taskId)?.lease;
      if (lease?.token !== token) return true;
      lease.expiresAt = this.state.now() + params.leaseMs;
      if (begun) lease.prefetched = false;
      return false;
    });
  }

  settle(params: SettleParams): SettleResult {
    const tenant = this.state.lookUp(params.tenantId);
    const entry = tenant.leased.get(params.taskId);
    if (entry?.lease?.token !== params.token) return 'lease_lost';
    const { settlement } = params;
    if (entry.cancelling && settlement.kind !== 'completed') {
      this.life.end(
        tenant,
        entry,
        { state: 'cancelled', error: cancelledError(entry.cancelling.reason) },
        'cancel',
      );
      return 'settled';
    }
    if (settlement.kind === 'parked' && settlement.journalRev < entry.journal.rev) return 'newer_outcome';
    return this.apply(tenant, entry, settlement);
  }

  private apply(tenant: TenantState, entry: TaskEntry, settlement: Settlement): 'settled' | 'exhausted' {
    switch (settlement.kind) {
      case 'completed':
        this.complete(tenant, entry, settlement);
        return 'settled';
      case 'failed':
        this.life.end(tenant, entry, { ...settlement, state: 'failed' }, 'fail');
        return 'settled';
      case 'cancelled':
        this.life.end(
          tenant,
          entry,
          { state: 'cancelled', error: cancelledError(TASK_TEXTS.endedByWorkflow) },
          'cancel',
        );
        return 'settled';
      case 'parked':
        entry.replayedTo = settlement.journalRev;
        entry.lostLeases = 0;
        this.life.unlease(tenant, entry);
        this.life.move(tenant, entry, 'parked', 'park');
        return 'settled';
      case 'released':
        this.release(tenant, entry);
        return 'settled';
      case 'retry':
        return this.retry(tenant, entry, settlement);
      default:
        return settlement satisfies never;
    }
  }

  private complete(
    tenant: TenantState,
    entry: TaskEntry,
    settlement: Settlement & { kind: 'completed' },
  ): void {
    const result = this.life.keepResult(tenant, entry, settlement);
    if (result === undefined) return;
    const session =
      entry.spec.session_id === undefined ? undefined : tenant.sessions.get(entry.spec.session_id);
    if (settlement.answer && session) {
      const { message_id, content } = settlement.answer;
      this.sessions.add(tenant, session, {
        message_id,
        role: 'assistant',
        content,
        task_id: entry.spec.task_id,
      });
    }
    this.life.end(tenant, entry, { state: 'completed', result }, 'complete');
  }

  private release(tenant: TenantState, entry: TaskEntry): void {
    this.life.unlease(tenant, entry);
    if (!entry.resumes) entry.attempt -= 1;
    this.life.move(tenant, entry, entry.resumes ? 'woken' : 'ready', 'release');
    this.life.enqueue(tenant, entry);
  }

  private retry(
    tenant: TenantState,
    entry: TaskEntry,
    settlement: Settlement & { kind: 'retry' },
  ): 'settled' | 'exhausted' {
    const { error, diagnostic, delayMs, drop } = settlement;
    entry.failures += 1;
    if (entry.failures >= entry.spec.maxAttempts) {
      const message = taskText('attemptsExhausted', {
        failures: entry.failures,
        attempts: entry.spec.maxAttempts,
        error: `${error.code}: ${error.message}`,
      });
      this.life.end(
        tenant,
        entry,
        { state: 'failed', error: { code: 'attempts_exhausted', message, retryable: false }, diagnostic },
        'fail',
      );
      return 'exhausted';
    }
    const gone: CallEntry[] = [];
    for (const step of entry.journal.steps.values()) {
      if (!isForgotten(step, drop)) continue;
      entry.journal.steps.delete(step.key);
      entry.journal.bytes -= step.outcomeBytes;
      if (step.outcome?.ok) entry.charge(-bytesOf(step.outcome.value));
      gone.push(...step.calls);
    }
    // Late reports on these calls are answered for as long as the task is kept.
    entry.dropped = [...entry.dropped, ...gone];
    entry.inherited = entry.journal.rev;
    entry.lostLeases = 0;
    this.life.unlease(tenant, entry);
    this.life.move(tenant, entry, 'scheduled', 'retry');
    entry.resumes = false;
    entry.dueAt = this.state.now() + delayMs;
    this.state.schedule('start', entry.dueAt, entry);
    const details = { attempt: entry.attempt, code: error.code, error: error.message, delay_ms: delayMs };
    this.life.emit(tenant, entry, 'task_status_update', { status: 'retrying', details });
    return 'settled';
  }

  wake({ tenantId, taskId }: WakeParams): WakeResult {
    const tenant = this.state.lookUp(tenantId);
    const entry = tenant.tasks.get(taskId);
    if (entry?.state !== 'parked') return 'not_parked';
    this.life.wake(tenant, entry);
    return 'woken';
  }
}

/** Whether the next attempt does not inherit the step: failed calls and failed own work run again. */
function isForgotten({ key, kind, outcome }: StepEntry, drop: string | undefined): boolean {
  if (!outcome || outcome.ok) return false;
  return key === drop || kind === 'call' || kind === 'run';
}

/** The next task of the tenant that this worker can run. */
function nextFor(tenant: TenantState, worker: WorkerState): TaskEntry | undefined {
  const byAge = (tenant.claimed + 1) % OLDEST_EVERY === 0;
  let best: TaskEntry | undefined;
  for (const levels of tenant.ready.values()) {
    const candidate = byAge ? levels.oldest() : levels.mostUrgent();
    if (!candidate || !canRun(candidate, worker.runnables)) continue;
    if (isSuspect(candidate) && worker.suspect !== undefined) continue;
    if (!best || goesFirst(candidate, best, byAge)) best = candidate;
  }
  return best;
}

function newest(runnable: Runnable | undefined): number {
  return Math.max(...(runnable?.versions ?? [1]));
}

function goesFirst(a: TaskEntry, b: TaskEntry, byAge: boolean): boolean {
  if (byAge || a.queuePriority === b.queuePriority) return a.sequence < b.sequence;
  return a.queuePriority > b.queuePriority;
}

function canRun(entry: TaskEntry, runs: ReadonlyMap<string, Runnable>): boolean {
  const run = runs.get(entry.spec.type);
  return run !== undefined && (entry.version === undefined || run.versions.includes(entry.version));
}
