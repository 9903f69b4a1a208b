import { type Random, systemRandom } from '../runtime/random.js';
import { batchCases } from './batch-cases.js';
import { cacheCases } from './cache-cases.js';
import { callRateCases } from './call-rate-cases.js';
import { callPortionCases } from './call-portion-cases.js';
import { claimedMessageCases } from './claimed-message-cases.js';
import { CaseTools, type ConformanceCase, type StorageUnderTest } from './conformance-case.js';
import { earlyReportCases } from './early-report-cases.js';
import { completionCases } from './completion-cases.js';
import { explainCases } from './explain-cases.js';
import { journalCases } from './journal-cases.js';
import { largeJournalCases } from './large-journal-cases.js';
import { largeBatchCases } from './large-batch-cases.js';
import { largeTaskCases } from './large-task-cases.js';
import { logBytesCases } from './log-bytes-cases.js';
import { logCases } from './log-cases.js';
import { manyCases } from './many-cases.js';
import { deadLetterCases } from './dead-letter-cases.js';
import { pageCases } from './page-cases.js';
import { portionCases } from './portion-cases.js';
import { queueCases } from './queue-cases.js';
import { oddValueCases } from './odd-value-cases.js';
import { ownWorkCases } from './own-work-cases.js';
import { rateCases } from './rate-cases.js';
import { redriveCases } from './redrive-cases.js';
import { recoveryCases } from './recovery-cases.js';
import { repeatedRequestCases } from './repeated-request-cases.js';
import { sessionCases } from './session-cases.js';
import { sharedGroupCases } from './shared-group-cases.js';
import { storedBytesCases } from './stored-bytes-cases.js';
import { submitCases } from './submit-cases.js';
import { submitManyCases } from './submit-many-cases.js';
import { sweepCases } from './sweep-cases.js';
import { taskCases } from './task-cases.js';
import { systemEventCases } from './system-event-cases.js';
import { budgetCases } from './budget-cases.js';
import { tenantLimitCases } from './tenant-limit-cases.js';
import { usageCases } from './usage-cases.js';
import { tenantCases } from './tenant-cases.js';
import { ticketCases } from './ticket-cases.js';
import { trackedTaskCases } from './tracked-task-cases.js';
import { turnCases } from './turn-cases.js';
import { waitingCases } from './waiting-cases.js';

/**
 * Requirements on every storage, as data: host them in any test runner, with a fresh storage for each case,
 * opened with the limits of the case.
 *
 * @example
 * for (const one of storageConformance) {
 *   test(titleOf(one), async () => runCase(one, await openStorageWithAClock(one.limits)));
 * }
 */
export const storageConformance: readonly ConformanceCase[] = [
  ...submitCases,
  ...batchCases,
  ...largeBatchCases,
  ...sharedGroupCases,
  ...trackedTaskCases,
  ...taskCases,
  ...explainCases,
  ...queueCases,
  ...claimedMessageCases,
  ...largeTaskCases,
  ...turnCases,
  ...waitingCases,
  ...submitManyCases,
  ...manyCases,
  ...sweepCases,
  ...storedBytesCases,
  ...portionCases,
  ...callPortionCases,
  ...redriveCases,
  ...deadLetterCases,
  ...pageCases,
  ...journalCases,
  ...ownWorkCases,
  ...largeJournalCases,
  ...earlyReportCases,
  ...sessionCases,
  ...repeatedRequestCases,
  ...tenantCases,
  ...tenantLimitCases,
  ...budgetCases,
  ...usageCases,
  ...callRateCases,
  ...ticketCases,
  ...rateCases,
  ...cacheCases,
  ...logCases,
  ...logBytesCases,
  ...completionCases,
  ...systemEventCases,
  ...recoveryCases,
  ...oddValueCases,
];

/** Title of a case: `part.method: name`. */
export function titleOf({ part, method, name }: ConformanceCase): string {
  return `${part}.${method}: ${name}`;
}

/**
 * Runs a case on a storage.
 *
 * @throws {AssertionError} when the storage violates the case.
 */
export function runCase(
  one: ConformanceCase,
  subject: StorageUnderTest,
  random: Random = systemRandom,
): Promise<void> {
  return one.run(new CaseTools(subject, random));
}
