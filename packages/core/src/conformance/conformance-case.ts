import assert from 'node:assert/strict';
import type { StoragePorts } from '../storage/checked-storage.js';
import type { Storage } from '../storage/storage.js';
import type { JsonValue } from '../protocol/json.js';
import type { TaskEvent } from '../protocol/events.js';
import { DEFAULTS } from '../protocol/settings.js';
import type { Task } from '../protocol/task.js';
import type { Random } from '../runtime/random.js';
import type { Claim, Runnable, Settlement } from '../storage/task-queue.js';
import type { NewTask, Submission, TrackedCall } from '../storage/task-records.js';
import type { RecordAnswerParams, Report, StepRequest } from '../storage/call-journal.js';

/** A storage under test with its clock. */
export interface StorageUnderTest {
  readonly storage: Storage;
  now(): number;
  /** Advances the storage's clock. */
  advance(ms: number): Promise<void>;
}

/** Limits that override the defaults. */
export type CaseLimits = { readonly [K in keyof typeof DEFAULTS]?: number };

/** Ports of a storage with cases. */
export type StoragePart = keyof StoragePorts | 'wakeups' | 'systemEvents' | 'storage';

/** One requirement on every storage. Throws an `AssertionError` on a violation. */
export interface ConformanceCase {
  readonly part: StoragePart;
  readonly method: string;
  /** The requirement, as a sentence that begins with the method. */
  readonly name: string;
  /** Limits for this case; default: the storage's own. */
  readonly limits?: CaseLimits;
  run(t: CaseTools): Promise<void>;
}

export interface ClaimOptions {
  readonly max?: number;
  readonly begins?: number;
  readonly workerId?: string;
  readonly claimSlot?: string;
  readonly claimId?: string;
  readonly leaseMs?: number;
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
  readonly runs?: readonly Runnable[];
  readonly readsMessages?: readonly string[];
}

type MoreOfCall = Partial<NonNullable<StepRequest['call']>>;

/** Tools of a case: a storage, tenants of its own, and the usual steps as one call each. */
export class CaseTools {
  readonly storage: Storage;
  readonly tenantId: string;
  /** A tenant that must stay unaffected. */
  readonly otherTenantId: string;
  /** Task types of this case: on a store shared by cases none claims what another has left. */
  readonly type: string;
  readonly otherType: string;
  #counted = 0;

  constructor(
    private readonly subject: StorageUnderTest,
    private readonly random: Random,
  ) {
    this.storage = subject.storage;
    const unique = random.uuid().slice(0, 8);
    this.tenantId = `t-${unique}`;
    this.otherTenantId = `o-${unique}`;
    this.type = `work-${unique}`;
    this.otherType = `${this.type}-other`;
  }

  now(): number {
    return this.subject.now();
  }

  advance(ms: number): Promise<void> {
    return this.subject.advance(ms);
  }

  /** Advances the clock and sweeps. */
  async pass(ms: number): Promise<void> {
    await this.subject.advance(ms);
    await this.storage.queue.sweep({ max: 10_000 });
  }

  /**
   * The first sweep may reconcile indexes that a step failed to update: it runs beforehand, so that no case
   * relies on it.
   */
  lookedOver(): Promise<void> {
    return this.pass(0);
  }

  id(): string {
    return this.random.uuid();
  }

  name(prefix: string): string {
    this.#counted += 1;
    return `${prefix}-${this.#counted}`;
  }

  newTask(more: Partial<NewTask> = {}): NewTask {
    return {
      task_id: this.id(),
      type: this.type,
      priority: 4,
      payload: {},
      metadata: {},
      timeoutMs: DEFAULTS.taskTimeoutMs,
      maxAttempts: 5,
      ...more,
    };
  }

  submission(more: Partial<NewTask> = {}, options: Partial<Omit<Submission, 'task'>> = {}): Submission {
    return { task: this.newTask(more), onBusy: 'enqueue', ...options };
  }

  async submit(more: Partial<NewTask> = {}, options: Partial<Omit<Submission, 'task'>> = {}): Promise<Task> {
    const answer = await this.storage.tasks.submit({
      tenantId: this.tenantId,
      submission: this.submission(more, options),
      maxWaiting: 1_000_000,
    });
    assert.ok('task' in answer, `expected the task to be stored, got ${answer.answer}`);
    return answer.task;
  }

  /** The types of this case in the given versions, as a worker announces them. */
  runs(...versions: number[]): Runnable[] {
    return [{ type: this.type, versions: versions.length > 0 ? versions : [1] }];
  }

  /** A registered task: without a workflow, running. */
  async registered(more: { readonly call?: TrackedCall } = {}): Promise<Task> {
    const { tenantId } = this;
    const params = { tenantId, task: this.newTask(), maxWaiting: 1_000_000, ...more };
    const answer = await this.storage.tasks.register(params);
    assert.ok('task' in answer, `expected the task to be registered, got ${answer.answer}`);
    return answer.task;
  }

  /** Claims tasks of this case's tenant. */
  async claim(options: ClaimOptions = {}): Promise<Claim[]> {
    const claims = await this.claimOfBoth(options);
    return claims.filter(({ task }) => task.tenant_id === this.tenantId);
  }

  /** Claims tasks of this case, of both tenants. */
  async claimOfBoth(options: ClaimOptions = {}): Promise<readonly Claim[]> {
    const { max = 100, claimSlot, claimId = this.id(), leaseMs = 30_000, runs = this.runs() } = options;
    const { waitMs, signal, begins, readsMessages } = options;
    const workerId = `${options.workerId ?? 'worker'}-${this.tenantId}`;
    return this.storage.queue.claim({
      workerId,
      ...(claimSlot !== undefined && { claimSlot: `${workerId}/${claimSlot}` }),
      claimId,
      max,
      ...(begins !== undefined && { begins }),
      runs,
      ...(readsMessages && { readsMessages }),
      leaseMs,
      ...(waitMs !== undefined && { waitMs }),
      ...(signal && { signal }),
    });
  }

  /** `workers` workers in turn claim `count` tasks and die. */
  async loseLeases(workers: number, count: number, options: ClaimOptions = {}): Promise<void> {
    for (let n = 0; n < workers; n += 1) {
      assert.equal((await this.claim({ workerId: `dead-${n}`, ...options })).length, count);
      await this.pass(31_000);
    }
  }

  async claimOne(options: ClaimOptions = {}): Promise<Claim> {
    const [claim] = await this.claim(options);
    assert.ok(claim, 'expected a task to be claimed');
    return claim;
  }

  /** Submits and claims a task. */
  async leased(more: Partial<NewTask> = {}): Promise<Claim> {
    await this.submit(more);
    return this.claimOne();
  }

  settle(claim: Claim, settlement: Settlement): Promise<string> {
    return this.storage.queue.settle({ ...this.where(claim), token: claim.token, settlement });
  }

  where({ task }: { readonly task: Task }): { readonly tenantId: string; readonly taskId: string } {
    return { tenantId: task.tenant_id, taskId: task.task_id };
  }

  async get(taskId: string): Promise<Task> {
    const found = await this.storage.tasks.get({ tenantId: this.tenantId, taskId });
    assert.ok(found, `expected task ${taskId} to be there`);
    return found.task;
  }

  callStep(
    more: MoreOfCall = {},
    key = this.name('step'),
  ): StepRequest & { readonly call: NonNullable<StepRequest['call']> } {
    const call = {
      callId: this.id(),
      service: 'query',
      operation: 'query',
      maxTries: 3,
      retryDelayMs: 100,
      silenceMs: 60_000,
      ...more,
    };
    return { key, kind: 'call', name: `${call.service}.${call.operation}`, call };
  }

  async begin(claim: Claim, step: StepRequest, maxSteps = 1_000) {
    return this.storage.journal.begin({
      ...this.where(claim),
      token: claim.token,
      journalRev: claim.journalRev,
      step,
      maxSteps,
    });
  }

  /** A leased task with a call that the service has accepted as job `jobId`. */
  async withJob(jobId = this.name('job'), more: MoreOfCall = {}) {
    const claim = await this.leased();
    const step = this.callStep(more);
    await this.begin(claim, step);
    await this.record(claim, step, { kind: 'accepted', jobId });
    return { claim, step, jobId };
  }

  /** @param maxSteps own work only: stores the step as well. */
  async record(
    claim: Claim,
    step: StepRequest,
    answer: RecordAnswerParams['answer'],
    maxSteps?: number,
  ): ReturnType<Storage['journal']['record']> {
    const { key, name, call } = step;
    return this.storage.journal.record({
      ...this.where(claim),
      token: claim.token,
      journalRev: claim.journalRev,
      key,
      answer,
      ...(call && { callId: call.callId }),
      ...(maxSteps !== undefined && { create: { name, maxSteps } }),
    });
  }

  result(value: JsonValue) {
    return { kind: 'outcome', outcome: { ok: true, value } } as const;
  }

  failure(message: string, retryable = false) {
    return {
      kind: 'outcome',
      outcome: { ok: false, error: { code: 'service_error', message, retryable } },
    } as const;
  }

  /** A service's report on a job. */
  report(jobId: string, value: JsonValue, more: Partial<Report> = {}) {
    return this.storage.journal.report({
      tenantId: this.tenantId,
      service: 'query',
      jobId,
      body: this.result(value),
      ...more,
    });
  }

  /** Event names of a task, in order. */
  async eventsOf(taskId: string): Promise<string[]> {
    return (await this.log()).filter((event) => event.task_id === taskId).map((event) => event.event);
  }

  async log(): Promise<readonly TaskEvent[]> {
    const all: TaskEvent[] = [];
    for (let after = await this.beginning(); ;) {
      const { events, cursor } = await this.storage.events.read({
        tenantId: this.tenantId,
        after,
        limit: 10_000,
      });
      if (events.length === 0) return all;
      all.push(...events);
      after = cursor;
    }
  }

  /** Cursor before the first event of the tenant. */
  async beginning(): Promise<string> {
    const head = await this.storage.events.head({ tenantId: this.tenantId });
    return `${head.split(':')[0]}:0`;
  }
}
