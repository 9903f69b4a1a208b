import { OTHERS, SUBMISSIONS, TASKS } from './caller-scenarios.js';
import type { StepScenario } from './step-scenario.js';
import { JOURNAL, QUEUE, WORKERS } from './worker-scenarios.js';

export type { StepScenario } from './step-scenario.js';

export const STEP_SCENARIOS: readonly StepScenario[] = [
  ...SUBMISSIONS,
  ...TASKS,
  ...QUEUE,
  ...JOURNAL,
  ...OTHERS,
  ...WORKERS,
];
