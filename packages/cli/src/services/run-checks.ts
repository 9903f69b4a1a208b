import { CHECKS } from './all-checks.js';
import { type Check, type Finding, skipped } from './check.js';
import type { Subject } from './subject.js';

export interface CheckResult {
  readonly check: Check;
  readonly finding: Finding;
}

const NO_JOB = 'the operation answers with 200: there is no job';

/** Runs the checks, one after the other. Those that need one which has failed are skipped, and so are those behind them. */
export async function* runChecks(
  subject: Subject,
  checks: readonly Check[] = CHECKS,
): AsyncGenerator<CheckResult> {
  /** By check that has failed, or could not be run for it: what failed. */
  const blocked = new Map<string, string>();
  for (const check of checks) {
    const fault = check.needs?.map((name) => blocked.get(name)).find((name) => name !== undefined);
    const finding = fault === undefined ? await run(check, subject) : skipped(`${fault} failed`);
    // What was interrupted in the middle has found nothing.
    subject.options.signal.throwIfAborted();
    if (fault !== undefined) blocked.set(check.name, fault);
    else if (finding.verdict === 'failed') blocked.set(check.name, check.name);
    yield { check, finding };
  }
}

async function run(check: Check, subject: Subject): Promise<Finding> {
  return check.jobsOnly && subject.first.answer.kind !== 'job' ? skipped(NO_JOB) : check.run(subject);
}
