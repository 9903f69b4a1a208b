import { installPeers } from '../peers.js';
import { DRAIN_MATCHES } from './drain-rows.js';
import { END_TO_END_MATCHES } from './end-to-end-rows.js';
import { findCores, pin } from './pinning.js';
import { runComparison, type Round } from './run-comparison.js';
import { type Outcome, outcomeOf, sideNotesOf, tableOf } from './report.js';
import type { Comparison } from './row.js';
import { APPENDONLY_MATCHES, SUBMIT_MATCHES } from './submit-rows.js';

const MATCHES: readonly Comparison[] = [
  ...DRAIN_MATCHES,
  ...SUBMIT_MATCHES,
  ...END_TO_END_MATCHES,
  ...APPENDONLY_MATCHES,
];

const BY_CPU =
  'by CPU: ratio of the rates if the busier one of Redis and Node never waited, on an idle machine.';

/** Comparisons whose name contains this text. */
export function matchesOf(only = ''): readonly Comparison[] {
  const exact = MATCHES.filter(({ name }) => name === only);
  const comparisons = exact.length > 0 ? exact : MATCHES.filter(({ name }) => name.includes(only));
  if (comparisons.length > 0) return comparisons;
  throw new Error(`--only: expected a part of ${MATCHES.map(({ name }) => name).join(', ')}; got "${only}"`);
}

/**
 * All comparisons on Redis, beside BullMQ with priorities, retries and retained finished jobs: ratios of the
 * same round, each side on a Redis and in a process of its own. Payloads have 1 KB.
 */
export async function redis(options: {
  readonly rounds: number;
  /** Part of a name: runs only those comparisons. */
  readonly only?: string | undefined;
  readonly profiles?: string | undefined;
}): Promise<unknown> {
  const { rounds, only, profiles } = options;
  const comparisons = matchesOf(only);
  await installPeers();
  const cores = await findCores();
  await pin(process.pid, cores.node);
  console.log(`${rounds} rounds; ${cores.explanation}\n`);
  const played: [Comparison, Round[]][] = [];
  const outcomes: Outcome[] = [];
  for (const comparison of comparisons) {
    const began = performance.now();
    const ofComparison = await runComparison(comparison, { rounds, cores, profiles });
    played.push([comparison, ofComparison]);
    outcomes.push(...comparison.rows.map((row) => outcomeOf(comparison, row, ofComparison)));
    console.error(`${comparison.name}: ${((performance.now() - began) / 1_000).toFixed(0)} s`);
  }
  console.log(`\n${tableOf(outcomes)}\n\n${BY_CPU}\n\nEach stage, a task:\n\n${sideNotesOf(played)}`);
  return { rounds, node: process.version, cores, outcomes, played: Object.fromEntries(played.map(named)) };
}

function named([{ name, stages }, rounds]: readonly [Comparison, readonly Round[]]) {
  return [name, { stages, rounds }] as const;
}
