import type { ExplainFacts, WorkerEntry } from '@agent-orchestrator/core/storage';
import type { Reply } from '../scripts/script-runner.js';
import { readTask, type StoredStep, TaskView } from './task-codec.js';

/** Answer of the script `explain`. */
type ExplainReply = readonly [
  task: Reply,
  position: number | null,
  sessionHolder: string | null,
  inBatch: number | null,
  maxInBatch: string | null,
  paused: string | null,
  running: number,
  maxRunning: string | null,
];

/** The facts that explain why a task is where it is, from the answer of the script. */
export function factsOf(tenantId: string, reply: Reply, workers: readonly WorkerEntry[]): ExplainFacts {
  const [found, position, holder, inBatch, maxInBatch, paused, running, maxRunning] =
    reply as unknown as ExplainReply;
  const stored = readTask(found);
  const { state, header, steps } = stored;
  return {
    task: new TaskView(tenantId, stored),
    state: state.state,
    since: state.ended ?? state.since ?? header.at,
    version: state.version,
    dueAt: state.due,
    worker: state.worker,
    cancelReason: state.cancel,
    sessionHolder: header.parallel ? undefined : (holder ?? undefined),
    batch: inBatch === null ? undefined : { inFlight: inBatch, max: Number(maxInBatch) },
    position: position ?? undefined,
    tenant: {
      paused: paused === '1',
      running,
      maxRunning: maxRunning === null ? undefined : Number(maxRunning),
    },
    runs: workers.flatMap(({ runs }) => runs),
    calls: steps.flatMap(openCallsOf),
    steps: steps
      .filter(({ ended, kind }) => ended === undefined && kind !== 'call')
      .map(({ name, due }) => ({ name, dueAt: due })),
    diagnostic: stored.diagnostic,
  };
}

function openCallsOf({ service = '', operation = '', calls = [] }: StoredStep) {
  return calls.filter(({ state }) => state !== 'ended').map(({ job }) => ({ service, operation, job }));
}
