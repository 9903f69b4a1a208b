import { describe, expect, it } from 'vitest';
import { judge } from './disordered-judge.js';
import { type DisorderedRun, runDisordered } from './disordered-run.js';
import { TRY_KINDS } from './service-plans.js';

/** The seed decides the run: `FAULT_SEED=2 FAULT_TASKS=10000 npx vitest run test/faults`. */
const SEED = process.env['FAULT_SEED'] ?? '1';
const TASKS = Number(process.env['FAULT_TASKS'] ?? 1_000);
/** With fewer tasks a random fault may not occur at all. */
const ENOUGH = 300;

let done: DisorderedRun | undefined;

/** A copy of the first test's run, to be tampered with. */
function copied(): { -readonly [K in keyof DisorderedRun]: DisorderedRun[K] } {
  if (!done) throw new Error('the run did not come to its end');
  const { tap, client } = done;
  return {
    ...done,
    tasks: new Map(done.tasks),
    tries: new Map(done.tries),
    acks: new Map(done.acks),
    tap: { outcomes: new Map(tap.outcomes), held: tap.held },
    client: { violations: [], gaps: client.gaps, count: client.count, finals: new Map(client.finals) },
  };
}

/** A task with this status after its first try. */
function someTask(run: DisorderedRun, status: string): string {
  const reported = (id: string) => run.tap.outcomes.has(run.tries.get(id)?.[0]?.job ?? '');
  const found = run.taskIds.find(
    (id) => run.tasks.get(id)?.status === status && run.tries.get(id)?.length === 1 && reported(id),
  );
  if (found === undefined) throw new Error(`no task is ${status}`);
  return found;
}

describe('notifications repeated up to five times and reordered', () => {
  it(
    `end each task once, with its first outcome (FAULT_SEED=${SEED} FAULT_TASKS=${TASKS})`,
    { timeout: 1_800_000 },
    async () => {
      const run = await runDisordered(SEED, TASKS);
      done = run;
      const tries = [...run.tries.values()].flat();
      const count = (status: string) =>
        [...run.tasks.values()].filter((task) => task.status === status).length;
      const kinds = TRY_KINDS.map((kind) => [kind, tries.filter(({ plan }) => plan.kind === kind).length]);
      console.log(`FAULT_SEED=${SEED} FAULT_TASKS=${TASKS}: ${(run.ms / 1000).toFixed(1)} s`);
      console.table({
        ...{ tasks: TASKS, completed: count('completed'), failed: count('failed') },
        ...{ cancelled: count('cancelled'), tries: tries.length },
        ...Object.fromEntries(kinds),
        'reported before the 202': tries.filter(({ plan }) => plan.early).length,
        'held for the 202': run.tap.held,
        'frames received by the proxy': run.proxy.received,
        'frames sent by the proxy': run.proxy.sent,
        'events at the client': run.client.count,
        'final events at the client': run.client.finals.size,
      });
      console.table(Object.fromEntries([...run.acks].toSorted(([a], [b]) => a.localeCompare(b))));
      expect(judge(run)).toEqual([]);
      expect(run.client.finals.size).toBe(TASKS);
      if (TASKS < ENOUGH) return;
      // A fault that did not occur proves nothing.
      for (const outcome of ['applied', 'duplicate', 'late', 'stale']) {
        expect(run.acks.get(outcome) ?? 0, outcome).toBeGreaterThan(0);
      }
      for (const [kind, tried] of kinds) expect(tried, String(kind)).toBeGreaterThan(0);
      expect(run.tap.held).toBeGreaterThan(0);
    },
  );

  it.each<[string, string, (run: ReturnType<typeof copied>, id: string) => unknown]>([
    ['a task without a final event', 'stuck', ({ client }, id) => client.finals.delete(id)],
    [
      'another result',
      'a result of no try',
      ({ tasks }, id) => (tasks as Map<string, unknown>).set(id, { ...tasks.get(id), result: 'other' }),
    ],
    [
      'a missing last event',
      'its final event is rev',
      ({ tasks }, id) => (tasks as Map<string, unknown>).set(id, { ...tasks.get(id), rev: 99 }),
    ],
    [
      'a status that contradicts the final event',
      'task_completed for a task that is failed',
      ({ tasks }, id) => (tasks as Map<string, unknown>).set(id, { ...tasks.get(id), status: 'failed' }),
    ],
    [
      'two outcomes',
      '2 outcomes of one call',
      ({ tap, tries }, id) => {
        const { job = '' } = tries.get(id)?.[0] ?? {};
        const [first] = tap.outcomes.get(job) ?? [];
        if (first) tap.outcomes.set(job, [first, first]);
      },
    ],
    [
      'the second outcome instead of the first',
      'not the first outcome',
      ({ tap, tries }, id) => {
        const { job = '' } = tries.get(id)?.[0] ?? {};
        const [first] = tap.outcomes.get(job) ?? [];
        if (first) tap.outcomes.set(job, [{ ok: true, value: 'lost', answer: 'late' }, first]);
      },
    ],
    [
      'the same call_id for two tries',
      'a call_id twice',
      ({ tries }, id) =>
        (tries as Map<string, unknown>).set(id, [...(tries.get(id) ?? []), ...(tries.get(id) ?? [])]),
    ],
    ['an unknown ack', 'an ack "forbidden"', ({ acks }) => (acks as Map<string, number>).set('forbidden', 1)],
    ['a notification without ack', '1 notifications have no ack', (run) => (run.unacknowledged = 1)],
    ['an unknown frame', 'unknown_task', (run, id) => (run.unknown = new Set([id]))],
    ['a repeated event', 'repeated', ({ client }) => client.violations.push('it was repeated')],
  ])('the judge finds %s', (_, text, tamper) => {
    const run = copied();
    expect(judge(run)).toEqual([]);
    tamper(run, someTask(run, 'completed'));
    expect(judge(run).join()).toContain(text);
  });

  it('the judge finds a cancellation without a request', () => {
    const run = copied();
    run.cancelled = new Set();
    expect(judge(run).join()).toContain('cancelled without a request');
  });
});
