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
 * Runs the checks, one after the other. Those that need one which has failed are skipped, and so are those behind them.
 * Once nothing listens at the URL any more, the check that is under way fails, and all that follow are skipped.
 */
export async function* runChecks(
  subject: Subject,
  checks: readonly Check[] = CHECKS,
): AsyncGenerator<CheckResult> {
  const { watch, options } = subject;
  /** By check that has failed, or could not be run for it: what failed. */
  const blocked = new Map<string, string>();
  try {
    for (const check of checks) {
      const fault = check.needs?.map((name) => blocked.get(name)).find((name) => name !== undefined);
      const reason = watch.isGone ? GONE : fault && `${fault} failed`;
      const finding = reason === undefined ? await run(check, subject) : skipped(reason);
      // What was interrupted in the middle has found nothing.
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
