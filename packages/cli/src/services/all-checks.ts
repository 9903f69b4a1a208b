import type { Check } from './check.js';
import { ANSWER_CHECKS } from './checks/answer-checks.js';
import { JOB_CHECKS } from './checks/job-checks.js';
import { LINK_CHECKS } from './checks/link-checks.js';
import { REFUSAL_CHECKS } from './checks/refusal-checks.js';
import { REPEAT_CHECKS } from './checks/repeat-checks.js';
import { TASK_CHECKS } from './checks/task-checks.js';
import { VARIETY_CHECKS } from './checks/variety-checks.js';

/** All checks in the order of execution. A check comes after those it needs. */
export const CHECKS: readonly Check[] = [
  ...ANSWER_CHECKS,
  ...JOB_CHECKS,
  ...REFUSAL_CHECKS,
  ...REPEAT_CHECKS,
  ...VARIETY_CHECKS,
  ...TASK_CHECKS,
  ...LINK_CHECKS,
];
