import { CHECKS } from './all-checks.js';
import { type Check, failed, type Finding, skipped } from './check.js';
import { REACHABLE } from './checks/answer-checks.js';
import type { Subject } from './subject.js';

export interface CheckResult {
  readonly check: Check;
  readonly finding: Finding;
}

const NO_JOB = 'the operation answers with 200: there is no job';
const GONE = 'nothing listens at the URL any more';

/**
 * Runs the checks in order. Those that need a failed one are skipped, transitively. Once nothing listens at
 * the URL, the current check fails, and all others are skipped.
 */
export async function* runChecks(
  subject: Subject,
  checks: readonly Check[] = CHECKS,
): AsyncGenerator<CheckResult> {
  const { watch, options } = subject;
  /** Failed check by each check that it blocks. */
  const blocked = new Map<string, string>();
  try {
    for (const check of checks) {
      const fault = check.needs?.map((name) => blocked.get(name)).find((name) => name !== undefined);
      const reason = watch.isGone ? GONE : fault && `${fault} failed`;
      const finding = reason === undefined ? await run(check, subject) : skipped(reason);
      // An interrupted check has no result.
      options.signal.throwIfAborted();
      if (fault !== undefined) blocked.set(check.name, fault);
      else if (finding.verdict === 'failed') blocked.set(check.name, check.name);
      if (check.name === REACHABLE && finding.verdict === 'ok') watch.start();
      else if (check.name !== REACHABLE && finding.verdict === 'failed') await watch.look();
      yield { check, finding };
    }
  } finally {
    watch.stop();
  }
}

async function run(check: Check, subject: Subject): Promise<Finding> {
  if (check.jobsOnly && subject.first.answer.kind !== 'job') return skipped(NO_JOB);
  const { watch } = subject;
  try {
    const finding = await check.run(subject);
    if (!watch.isGone || finding.verdict === 'failed') return finding;
  } catch (error) {
    if (!watch.isGone) throw error;
  }
  return failed('a service that goes on listening', `${GONE}: it has ended in the middle of this check`);
}
