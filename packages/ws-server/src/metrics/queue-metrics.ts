import type { Clock, Orchestrator } from '@agent-orchestrator/core';
import { atMost } from '@agent-orchestrator/core/server';
import { Gauge, type Registry } from 'prom-client';

/** Tenants that are counted: further ones are left out, and a gauge says so. */
const PAGE = 500;
const MAX_PAGES = 20;
/** Several scrapes share one count. */
const KEPT_MS = 30_000;
/** A scrape waits so long for a new count, then it has the one before. */
const COUNTING_MS = 2_000;
/** Failed tasks are dead letters. */
const STATUSES = ['pending', 'processing', 'failed'] as const;

interface Count {
  readonly tasks: Readonly<Record<(typeof STATUSES)[number], number>>;
  readonly ready: number;
  readonly paused: number;
  readonly tenants: number;
  readonly isPartial: boolean;
  readonly oldestReadyAt: number | undefined;
}

/** Adds the tasks of all tenants in the storage: every process that shares it reports the same. */
export function addQueueMetrics(orchestrator: Orchestrator, registry: Registry, clock: Clock): void {
  let [last, countedAt]: [Count | undefined, number] = [undefined, Number.NEGATIVE_INFINITY];
  let running: Promise<void> | undefined;
  const countAgain = async () => {
    try {
      last = await countOf(orchestrator);
    } catch {
      // The storage does not answer: an old count would say that all is well.
      last = undefined;
    }
    countedAt = clock.monotonic();
    running = undefined;
  };
  const count = async () => {
    if (clock.monotonic() - countedAt >= KEPT_MS) {
      running ??= countAgain();
      await atMost(clock, COUNTING_MS, running);
    }
    return last;
  };
  const gauge = (
    name: string,
    help: string,
    labelNames: string[],
    collect: (count: Count, set: Gauge) => void,
  ): void => {
    const made: Gauge = new Gauge({
      name: `orchestrator_${name}`,
      help,
      labelNames,
      registers: [registry],
      collect: async () => {
        made.reset();
        const found = await count();
        if (found) collect(found, made);
      },
    });
  };
  gauge(
    'queue_tasks',
    'Tasks in the storage that have not ended, and failed ones that are kept.',
    ['status'],
    ({ tasks }, to) => {
      for (const status of STATUSES) to.set({ status }, tasks[status]);
    },
  );
  gauge('queue_ready', 'Tasks that could be claimed now.', [], ({ ready }, to) => to.set(ready));
  const oldest = 'Age of the oldest task that could be claimed now; 0 without one.';
  gauge('queue_oldest_ready_seconds', oldest, [], ({ oldestReadyAt }, to) => {
    const ageMs = oldestReadyAt === undefined ? 0 : clock.now() - oldestReadyAt;
    to.set(Math.max(0, ageMs) / 1_000);
  });
  gauge('tenants', 'Tenants in the storage.', ['state'], ({ tenants, paused }, to) => {
    to.set({ state: 'active' }, tenants - paused);
    to.set({ state: 'paused' }, paused);
  });
  const partial = `1 when there are more than ${PAGE * MAX_PAGES} tenants: the gauges of queues leave out the others.`;
  gauge('queue_partial', partial, [], ({ isPartial }, to) => to.set(isPartial ? 1 : 0));
}

async function countOf({ admin }: Orchestrator): Promise<Count> {
  const tasks = { pending: 0, processing: 0, failed: 0 };
  let [ready, paused, tenants] = [0, 0, 0];
  let oldestReadyAt: number | undefined;
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const { items, next } = await admin.tenants({ limit: PAGE, ...(cursor !== undefined && { cursor }) });
    for (const tenant of items) {
      tenants += 1;
      ready += tenant.ready;
      if (tenant.paused) paused += 1;
      for (const status of STATUSES) tasks[status] += tenant.counts[status];
      const at = tenant.oldest_ready_at === undefined ? Infinity : Date.parse(tenant.oldest_ready_at);
      // A paused tenant's tasks wait as long as an operator wants.
      if (!tenant.paused && at < (oldestReadyAt ?? Infinity)) oldestReadyAt = at;
    }
    cursor = next;
    if (cursor === undefined) break;
  }
  return { tasks, ready, paused, tenants, isPartial: cursor !== undefined, oldestReadyAt };
}
