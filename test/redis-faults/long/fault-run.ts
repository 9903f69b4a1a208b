import type { TaskEvent } from '@agent-orchestrator/core';
import { RedisStorage, type RedisTarget } from '@agent-orchestrator/redis-adapter';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { SeededRandom } from '../../../packages/core/test/chaos/seeded-random.js';
import { historyOf } from '../../../packages/core/test/chaos/history.js';
import type { Entry, Fault, FaultHistory } from '../fault-history.js';
import { Child } from './child-process.js';

const WORKERS = 4;
/** Maximum of frozen workers: some have to do the work. */
const MAX_FROZEN = 2;
const LEASES_FROZEN = 2.5;
const DRAIN_MS = 60_000;
const LIMITS = { maxEvents: 1e8, maxEventAgeMs: 1e12, retentionMs: 1e12, deadLetterRetentionMs: 1e12 };

export interface FaultRunOptions {
  readonly target: RedisTarget;
  readonly seed: string;
  readonly seconds: number;
  readonly leaseMs: number;
  readonly perSecond: number;
  /** The first one is followed. */
  readonly tenants: readonly string[];
  /** Called once, in the middle; resolves when the storage answers again. */
  readonly strikeStorage: () => Promise<void>;
}

interface PlannedFault {
  readonly kind: 'kill' | 'freeze';
  /** Position among the running workers, from 0 to 1. */
  readonly position: number;
}

/** The machine's time in ms, as the programs log it. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

/**
 * Workers that are killed and frozen by a seeded schedule, one fault a second, while another process submits
 * and a third one follows. States: running (`run`), draining (faults are over, everything acknowledged ends),
 * judged.
 */
export class FaultRun {
  readonly #children: Child[] = [];
  readonly #faults: Fault[] = [];
  readonly #thawing: Promise<void>[] = [];
  readonly #plan: readonly PlannedFault[];
  readonly #prefix = `faults-${process.pid}`;
  #dir = '';
  #workersStarted = 0;

  constructor(private readonly options: FaultRunOptions) {
    const random = new SeededRandom(`${options.seed}/schedule`);
    this.#plan = Array.from({ length: options.seconds }, () => ({
      kind: random.random(70) ? 'kill' : 'freeze',
      position: random.fraction(),
    }));
  }

  async run(): Promise<FaultHistory> {
    this.#dir = await mkdtemp(join(tmpdir(), 'agent-orchestrator-faults-'));
    const dropAll = () => this.#children.forEach((child) => void child.kill());
    process.once('exit', dropAll);
    try {
      const follower = this.#begin('follower', 'follower');
      await Promise.all(Array.from({ length: WORKERS }, () => this.#beginWorker()));
      await follower.receives('up');
      const submitter = this.#begin('submitter', 'submitter');
      await submitter.receives('up');
      await this.#inflict();
      return await this.#drain(submitter, follower);
    } finally {
      await Promise.all(this.#children.map((child) => child.kill()));
      process.off('exit', dropAll);
      await rm(this.#dir, { recursive: true, force: true });
    }
  }

  #begin(program: 'worker' | 'submitter' | 'follower', name: string): Child {
    const { target, leaseMs, tenants, perSecond } = this.options;
    const options = { target, prefix: this.#prefix, limits: LIMITS, leaseMs, tenants, perSecond };
    const child = new Child({ program, name, dir: this.#dir, options });
    this.#children.push(child);
    return child;
  }

  #beginWorker(): Promise<void> {
    this.#workersStarted += 1;
    return this.#begin('worker', `w${this.#workersStarted}`).receives('up', DRAIN_MS);
  }

  get #running(): Child[] {
    return this.#children.filter(
      (child) => child.settings.program === 'worker' && !child.isFrozen && !child.hasEnded,
    );
  }

  async #inflict(): Promise<void> {
    const middle = Math.floor(this.#plan.length / 2);
    let striking: Promise<void> | undefined;
    for (const [second, planned] of this.#plan.entries()) {
      const next = pause(1_000);
      if (second === middle) striking = this.#strikeStorage();
      await this.#inflictOne(planned);
      await next;
    }
    await striking;
    await Promise.all(this.#thawing);
  }

  async #inflictOne({ kind, position }: PlannedFault): Promise<void> {
    const candidates = this.#running;
    const child = candidates[Math.floor(position * candidates.length)];
    if (!child) return;
    const frozen = this.#children.filter((each) => each.isFrozen).length;
    const struck = { process: child.settings.name, at: machineMs() };
    if (kind === 'freeze' && frozen < MAX_FROZEN) {
      child.freeze();
      this.#thawing.push(this.#thaw(child, struck));
    } else {
      await child.kill();
      this.#faults.push({ kind: 'kill', ...struck });
      void this.#beginWorker().catch(() => undefined);
    }
  }

  async #thaw(child: Child, struck: { readonly process: string; readonly at: number }): Promise<void> {
    await pause(this.options.leaseMs * LEASES_FROZEN);
    const until = machineMs();
    child.thaw();
    this.#faults.push({ kind: 'freeze', ...struck, until });
  }

  async #strikeStorage(): Promise<void> {
    const at = machineMs();
    await this.options.strikeStorage();
    this.#faults.push({ kind: 'storage', process: 'redis', at, until: machineMs() });
  }

  async #drain(submitter: Child, follower: Child): Promise<FaultHistory> {
    const { target, tenants, leaseMs } = this.options;
    submitter.send('enough');
    await submitter.receives('done', DRAIN_MS);
    const storage = RedisStorage.connect(target, { prefix: this.#prefix, limits: LIMITS });
    try {
      await Promise.all(tenants.map((tenantId) => idle(storage, tenantId)));
      const logs = new Map<string, readonly TaskEvent[]>();
      for (const tenantId of tenants) logs.set(tenantId, await historyOf(storage, tenantId));
      const [followed = ''] = tenants;
      await caughtUp(follower, logs.get(followed)?.at(-1)?.cursor);
      const entries = (await Promise.all(this.#children.map((child) => child.entries()))).flat();
      entries.sort((a, b) => a.at - b.at);
      return { entries, faults: this.#faults, planned: this.#plan.length + 1, leaseMs, logs, followed };
    } finally {
      await storage.close();
    }
  }
}

/** Until a tenant has no unended task, or a limit after which the judge reports it. */
async function idle(storage: RedisStorage, tenantId: string): Promise<void> {
  const until = Date.now() + DRAIN_MS;
  while (Date.now() < until) {
    const { counts } = await storage.tasks.counts({ tenantId });
    if (counts.pending + counts.processing === 0) return;
    await pause(200);
  }
}

async function caughtUp(follower: Child, head: string | undefined): Promise<void> {
  const until = Date.now() + 10_000;
  while (Date.now() < until) {
    const last = (await follower.entries()).findLast(({ kind }) => kind === 'event') as
      | Extract<Entry, { kind: 'event' }>
      | undefined;
    if (last?.cursor === head) return;
    await pause(200);
  }
}
