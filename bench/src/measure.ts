/** Cost of one run. */
interface Cost {
  /** Microseconds of CPU per task, all threads of the process, garbage collection included. */
  readonly cpuUs: number;
  /** Microseconds of wall-clock time per task. */
  readonly wallUs: number;
}

/** Runs `tasks` tasks and resolves when the last one has ended. */
export type Competitor = (tasks: number) => Promise<void>;

export interface Comparison {
  readonly ours: Cost;
  readonly peer: Cost;
  /** Our speed relative to the peer: the median of the rounds, each of which runs both. */
  readonly ratio: number;
  /** The smallest and the largest ratio of a round. */
  readonly spread: readonly [number, number];
}

async function costOf(competitor: Competitor, tasks: number): Promise<Cost> {
  globalThis.gc?.();
  const cpu = process.cpuUsage();
  const began = performance.now();
  await competitor(tasks);
  const wallUs = (performance.now() - began) * 1_000;
  const { user, system } = process.cpuUsage(cpu);
  return { cpuUs: (user + system) / tasks, wallUs: wallUs / tasks };
}

/**
 * Runs both alternately, `rounds` times after a warm-up. The speed of a shared machine drifts from minute to
 * minute, so only runs of the same round are compared.
 */
export async function compare(params: {
  readonly ours: Competitor;
  readonly peer: Competitor;
  readonly tasks: number;
  readonly rounds: number;
  /** Between two runs: releases what the last one has left. */
  readonly rest: () => Promise<void>;
}): Promise<Comparison> {
  const rounds: { ours: Cost; peer: Cost }[] = [];
  for (let round = 0; round <= params.rounds; round += 1) {
    const peer = await costOf(params.peer, params.tasks);
    const ours = await costOf(params.ours, params.tasks);
    await params.rest();
    if (round > 0) rounds.push({ ours, peer });
  }
  const ratios = rounds.map(({ ours, peer }) => peer.wallUs / ours.wallUs).toSorted((a, b) => a - b);
  const middle = (costs: readonly Cost[], of: keyof Cost) => median(costs.map((cost) => cost[of]));
  const cost = (costs: readonly Cost[]): Cost => ({
    cpuUs: middle(costs, 'cpuUs'),
    wallUs: middle(costs, 'wallUs'),
  });
  return {
    ours: cost(rounds.map(({ ours }) => ours)),
    peer: cost(rounds.map(({ peer }) => peer)),
    ratio: median(ratios),
    spread: [ratios[0] ?? Number.NaN, ratios.at(-1) ?? Number.NaN],
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** A text table, its first column left-aligned and the others right-aligned. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  '),
    )
    .join('\n');
}
