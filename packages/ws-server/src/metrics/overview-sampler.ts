import type { Clock, Orchestrator } from '@agent-orchestrator/core';
import { every, type OverviewReport } from '@agent-orchestrator/core/server';
import type { ServiceBoard } from './service-board.js';

/** Interval of snapshots while there is a follower. */
const LIVE_MS = 2_000;
/** An hour in memory. */
export const HISTORY_MS = 10_000;
const HISTORY = 360;
/** A snapshot may take a tenth of the time: a slow storage is asked less often. */
const REST_FACTOR = 9;

/** A snapshot as the history keeps it. */
export type PastOverview = Omit<OverviewReport, 'services' | 'at_limit'>;

type Follower = (report: OverviewReport) => void;

/**
 * Takes snapshots of the storage and this process: every 10 s while the server runs, for an hour in memory, and every 2 s while
 * there are followers, however many. States: idle, running (`start`), stopped (`stop`), which is final. One snapshot at a time;
 * without an answer of the storage there is none.
 */
export class OverviewSampler {
  readonly #followers = new Set<Follower>();
  readonly #past: PastOverview[] = [];
  #stopTicks: (() => void) | undefined;
  #isStopped = false;
  #running: Promise<void> | undefined;
  #restUntil = Number.NEGATIVE_INFINITY;
  #pastAt = Number.NEGATIVE_INFINITY;
  /** Counters of this process at the last snapshot. */
  #before: { readonly at: number; readonly submitted: number; readonly ended: number } | undefined;
  #ended = 0;
  readonly #unwatch: () => void;

  constructor(
    private readonly orchestrator: Orchestrator,
    private readonly board: ServiceBoard,
    private readonly clock: Clock,
  ) {
    this.#unwatch = orchestrator.on('taskEnded', () => {
      this.#ended += 1;
    });
  }

  start(): void {
    if (this.#isStopped) return;
    this.#stopTicks ??= every(this.clock, LIVE_MS, () => this.#tick());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopTicks?.();
    this.#unwatch();
    this.#followers.clear();
    await this.#running;
  }

  /** Oldest first. */
  get history(): readonly PastOverview[] {
    return this.#past;
  }

  /** Calls `follower` with the next snapshots, the first one at once; returns a function that ends it. */
  follow(follower: Follower): () => void {
    this.#followers.add(follower);
    this.#running ??= this.#take();
    return () => this.#followers.delete(follower);
  }

  #tick(): void {
    const now = this.clock.monotonic();
    const isDue = this.#followers.size > 0 || now - this.#pastAt >= HISTORY_MS;
    if (isDue && now >= this.#restUntil) this.#running ??= this.#take();
  }

  async #take(): Promise<void> {
    const began = this.clock.monotonic();
    try {
      const report = await this.#snapshot();
      if (this.#isStopped) return;
      if (began - this.#pastAt >= HISTORY_MS) this.#remember(report, began);
      for (const follower of this.#followers) follower(report);
    } catch {
      // The storage does not answer: followers get no snapshot, since an old one would say that all is well.
    } finally {
      const ended = this.clock.monotonic();
      this.#restUntil = ended + REST_FACTOR * (ended - began);
      this.#running = undefined;
    }
  }

  #remember({ services: _, at_limit: __, ...past }: OverviewReport, at: number): void {
    this.#pastAt = at;
    this.#past.push(past);
    if (this.#past.length > HISTORY) this.#past.shift();
  }

  async #snapshot(): Promise<OverviewReport> {
    const counts = await this.orchestrator.admin.overview();
    return { ...counts, ...this.#rates(), services: this.board.reports() };
  }

  #rates(): Pick<OverviewReport, 'rates'> {
    const { tasksSubmitted: submitted } = this.orchestrator.stats();
    const [before, now] = [this.#before, { at: this.clock.monotonic(), submitted, ended: this.#ended }];
    this.#before = now;
    if (!before || now.at <= before.at) return {};
    const perSecond = (count: number) => Math.round((count * 10_000) / (now.at - before.at)) / 10;
    return {
      rates: {
        submitted_per_s: perSecond(now.submitted - before.submitted),
        ...(this.orchestrator.role !== 'api' && { ended_per_s: perSecond(now.ended - before.ended) }),
      },
    };
  }
}
