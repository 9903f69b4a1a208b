import { type Comparison, p50, p99 } from './row.js';

function endToEnd(perSecond: number, seconds: number): Comparison {
  const tasks = perSecond * seconds;
  return {
    name: `end-to-end-${perSecond}`,
    stages: [{ work: 'end to end', tenants: 100, tasks, perSecond, concurrency: 100 }],
    rows: [
      p50(`submit, run, result at ${perSecond}/s: p50`, 0, { must: 0.8, aim: 0.5 }),
      p99(`submit, run, result at ${perSecond}/s: p99`, 0, { must: 1 }),
    ],
  };
}

/** From the submission of a task to its result at the submitter, at a rate that is easy for both. */
export const END_TO_END_MATCHES: readonly Comparison[] = [endToEnd(50, 5), endToEnd(500, 3)];
