import { isFinalEvent, Orchestrator, OrchestratorError, type TaskEvent } from '@agent-orchestrator/core';
import { type LogGap } from '@agent-orchestrator/core/storage';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { setTimeout as pause } from 'node:timers/promises';
import { historyOf, judge, type Verdict } from '../../packages/core/test/chaos/history.js';

const SUBMIT_EVERY_MS = 10;
const LEASE_MS = 2_000;
const TENANT = 'acme';

export interface LoadStats extends Verdict {
  readonly acknowledged: number;
  readonly lost: readonly string[];
  /** Number of `storage_unavailable` errors. */
  readonly unavailable: number;
  /** Errors of another kind. */
  readonly foreign: readonly string[];
  readonly recordedAgain: readonly string[];
  readonly extraRuns: number;
  /** Longest time between two acknowledged tasks. */
  readonly longestPauseMs: number;
  /** From the end of the fault to the first later event at the follower. */
  readonly followedAfterMs: number;
  readonly gapsAtFollower: number;
  /** Events that the follower got twice, out of order or not at all. */
  readonly wrongAtFollower: number;
}

/**
 * One process under load: it submits, runs and follows tasks of one tenant while its Redis has faults.
 * States: running (`begin`), over (`end`, which waits for every acknowledged task).
 */
export class Load {
  readonly #storage: RedisStorage;
  readonly #orchestrator: Orchestrator;
  readonly #over = new AbortController();
  /** Every submission is acknowledged. Until then, the follower may be ahead of the acknowledgements. */
  #submitted = false;
  readonly #acknowledged: string[] = [];
  readonly #foreign: string[] = [];
  readonly #runs = new Map<string, number>();
  readonly #recorded = new Set<string>();
  readonly #recordedAgain: string[] = [];
  /** Since the last gap. */
  #followed: TaskEvent[] = [];
  #finals = 0;
  readonly #gaps: LogGap[] = [];
  #unavailable = 0;
  #longestPauseMs = 0;
  #lastAckAt = 0;
  #healedAt = Number.POSITIVE_INFINITY;
  #followedAt = Number.POSITIVE_INFINITY;
  #submitting: Promise<void> | undefined;
  #following: Promise<void> | undefined;

  constructor(url: string, commandTimeoutMs: number) {
    this.#storage = RedisStorage.connect(url, { commandTimeoutMs });
    this.#orchestrator = new Orchestrator({ storage: this.#storage, concurrency: 20, leaseMs: LEASE_MS });
    this.#orchestrator.workflow('steps', async (ctx) => {
      const runs = (this.#runs.get(ctx.taskId) ?? 0) + 1;
      this.#runs.set(ctx.taskId, runs);
      for (const step of ['one', 'two']) {
        await ctx.run(step, () => this.#work(`${ctx.taskId}/${step}`));
        this.#recorded.add(`${ctx.taskId}/${step}`);
      }
      return ctx.taskId;
    });
  }

  async begin(): Promise<void> {
    await this.#orchestrator.start();
    this.#lastAckAt = Date.now();
    this.#submitting = this.#submitContinuously();
    this.#following = this.#follow();
  }

  /** Call when the fault is over. */
  healed(): void {
    this.#healedAt = Date.now();
  }

  /** Resolves after so many more acknowledged tasks. */
  async more(tasks: number): Promise<void> {
    const target = this.#acknowledged.length + tasks;
    while (this.#acknowledged.length < target) await pause(10);
  }

  async end(): Promise<LoadStats> {
    this.#over.abort();
    await this.#submitting;
    this.#submitted = true;
    const acme = this.#orchestrator.tenant(TENANT);
    const ended = this.#acknowledged.map((id) => retry(() => acme.tasks.wait(id, { timeoutMs: 60_000 })));
    const lost = (await Promise.all(ended)).filter(({ status }) => status !== 'completed');
    await this.#following;
    const history = await historyOf(this.#storage, TENANT).catch(() => []);
    const verdict = judge(history, this.#acknowledged);
    const after = seqOf(this.#gaps.at(-1)?.to ?? 'new:0');
    const missed = history.filter(({ cursor }) => seqOf(cursor) > after).length - this.#followed.length;
    await this.#orchestrator.stop({ graceMs: 0 });
    await this.#storage.close();
    return {
      ...verdict,
      acknowledged: this.#acknowledged.length,
      lost: lost.map(({ task_id }) => task_id),
      unavailable: this.#unavailable,
      foreign: this.#foreign,
      recordedAgain: this.#recordedAgain,
      extraRuns: [...this.#runs.values()].reduce((sum, runs) => sum + runs - 1, 0),
      longestPauseMs: this.#longestPauseMs,
      followedAfterMs: Math.max(0, this.#followedAt - this.#healedAt),
      gapsAtFollower: this.#gaps.length,
      wrongAtFollower: Math.abs(missed) + outOfOrder(this.#followed),
    };
  }

  #work(step: string): string {
    if (this.#recorded.has(step)) this.#recordedAgain.push(step);
    return step;
  }

  async #submitContinuously(): Promise<void> {
    const inFlight: Promise<void>[] = [];
    for (let n = 0; !this.#over.signal.aborted; n += 1) {
      inFlight.push(this.#submit(`key-${n}`));
      await pause(SUBMIT_EVERY_MS);
    }
    await Promise.all(inFlight);
  }

  /** Retries the same request with the same key, like a client after `storage_unavailable`. */
  async #submit(idempotencyKey: string): Promise<void> {
    for (;;) {
      try {
        const body = { type: 'steps', payload: idempotencyKey };
        const { task_id } = await this.#orchestrator.tenant(TENANT).tasks.submit(body, { idempotencyKey });
        this.#acknowledged.push(task_id);
        this.#longestPauseMs = Math.max(this.#longestPauseMs, Date.now() - this.#lastAckAt);
        this.#lastAckAt = Date.now();
        return;
      } catch (error) {
        this.#countError(error);
        await pause(100);
      }
    }
  }

  async #follow(): Promise<void> {
    let after = 'new:0';
    const isOver = () => this.#submitted && this.#finals >= this.#acknowledged.length;
    while (!isOver()) {
      const ends = new AbortController();
      const timer = setInterval(() => isOver() && ends.abort(), 20);
      try {
        const log = this.#storage.events.follow({ tenantId: TENANT, after, signal: ends.signal });
        for await (const event of log) {
          if (event.event === 'gap') this.#restart(event);
          else this.#take(event);
          after = event.event === 'gap' ? event.to : event.cursor;
        }
      } catch (error) {
        this.#countError(error);
        await pause(100);
      } finally {
        clearInterval(timer);
      }
    }
  }

  /** A gap is followed by the events still kept, whatever was received before. */
  #restart(gap: LogGap): void {
    this.#gaps.push(gap);
    this.#followed = [];
    this.#finals = 0;
  }

  #take(event: TaskEvent): void {
    this.#followed.push(event);
    if (isFinalEvent(event.event)) this.#finals += 1;
    if (Date.parse(event.timestamp) >= this.#healedAt) {
      this.#followedAt = Math.min(this.#followedAt, Date.now());
    }
  }

  #countError(error: unknown): void {
    if (error instanceof OrchestratorError && error.code === 'storage_unavailable') this.#unavailable += 1;
    else this.#foreign.push(String(error));
  }
}

async function retry<T>(act: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await act();
    } catch (error) {
      if (tries === 20) throw error;
      await pause(200);
    }
  }
}

function outOfOrder(events: readonly TaskEvent[]): number {
  const seqs = events.map(({ cursor }) => seqOf(cursor));
  return seqs.filter((seq, at) => at > 0 && seq !== (seqs[at - 1] ?? 0) + 1).length;
}

function seqOf(cursor: string): number {
  return Number(cursor.split(':')[1]);
}
