import { installPeers } from '../peers.js';
import { DRAIN_MATCHES } from './drain-rows.js';
import { END_TO_END_MATCHES } from './end-to-end-rows.js';
import { findCores, pin } from './pinning.js';
import { playMatch, type Round } from './play-match.js';
import { type Outcome, outcomeOf, sideNotesOf, tableOf } from './report.js';
import type { Match } from './row.js';
import { APPENDONLY_MATCHES, SUBMIT_MATCHES } from './submit-rows.js';

const MATCHES: readonly Match[] = [
  ...DRAIN_MATCHES,
  ...SUBMIT_MATCHES,
  ...END_TO_END_MATCHES,
  ...APPENDONLY_MATCHES,
];

const BY_CPU =
  'by CPU: what the ratio of the rates would be if the busier one of Redis and Node never waited and nobody else ran.';

/** Those of a name, or whose name has this as a part. */
export function matchesOf(only = ''): readonly Match[] {
  const exact = MATCHES.filter(({ name }) => name === only);
  const matches = exact.length > 0 ? exact : MATCHES.filter(({ name }) => name.includes(only));
  if (matches.length > 0) return matches;
  throw new Error(`--only: expected a part of ${MATCHES.map(({ name }) => name).join(', ')}; got "${only}"`);
}

/**
 * Everything that Redis is asked for, beside BullMQ with priorities, retries and finished jobs that are kept: ratios of
 * the same round, each side on a Redis and in a process of its own. Payloads have 1 KB.
 */
export async function redis(options: {
  readonly rounds: number;
  /** A name or a part of it: plays those matches only. */
  readonly only?: string | undefined;
  readonly profiles?: string | undefined;
}): Promise<unknown> {
  const { rounds, only, profiles } = options;
  const matches = matchesOf(only);
  await installPeers();
  const cores = await findCores();
  await pin(process.pid, cores.node);
  console.log(`${rounds} rounds; ${cores.explanation}\n`);
  const played: [Match, Round[]][] = [];
  const outcomes: Outcome[] = [];
  for (const match of matches) {
    const began = performance.now();
    const ofMatch = await playMatch(match, { rounds, cores, profiles });
    played.push([match, ofMatch]);
    outcomes.push(...match.rows.map((row) => outcomeOf(match, row, ofMatch)));
    console.error(`${match.name}: ${((performance.now() - began) / 1_000).toFixed(0)} s`);
  }
  console.log(`\n${tableOf(outcomes)}\n\n${BY_CPU}\n\nEach stage, a task:\n\n${sideNotesOf(played)}`);
  return { rounds, node: process.version, cores, outcomes, played: Object.fromEntries(played.map(named)) };
}

function named([{ name, stages }, rounds]: readonly [Match, readonly Round[]]) {
  return [name, { stages, rounds }] as const;
}
