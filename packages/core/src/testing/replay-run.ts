import { OrchestratorError } from '../protocol/errors.js';
import { ContractChecks } from '../services/contracts.js';
import type { Storage } from '../storage/storage.js';
import { addBuiltInWorkflows } from '../workflows/built-in.js';
import { WorkflowCatalog } from '../workflows/catalog.js';
import type { WorkflowFunction } from '../workflows/context.js';
import { isDefinition, type WorkflowDefinition } from '../workflows/definition.js';
import { RecordedRun, type ReplayReport } from '../workflows/recorded-run.js';
import { RunContext } from '../workflows/run-context.js';
import type { RunRecording } from '../workflows/run-recording.js';

/** Options of `replayRun`. */
export interface ReplayRunOptions {
  readonly recording: RunRecording;
  /** Today's workflows by type: functions, or what `defineWorkflow` returned. The built-in ones are there. */
  readonly workflows?: Readonly<Record<string, WorkflowFunction<never> | WorkflowDefinition>>;
  /** Time for a function that awaits something else than a step, ms. Default 1,000. */
  readonly idleMs?: number;
  /** Ends the replay. */
  readonly signal?: AbortSignal;
}

/**
 * Runs today's code of a workflow against a recorded run, in this process: steps have the outcomes that are recorded, and
 * nothing is executed. Says at which step the function departs from the recording, if it does.
 *
 * @throws {OrchestratorError} `unknown_workflow` for a recording of a type that is not among the workflows.
 */
export async function replayRun(options: ReplayRunOptions): Promise<ReplayReport> {
  const { recording, idleMs = 1_000, signal } = options;
  const { task, origin } = recording;
  const catalog = catalogOf(options);
  const version = origin.version ?? 1;
  const fn = catalog.find(task.type, version) ?? catalog.find(task.type, 1);
  if (!fn) {
    const known = catalog.types().join(', ');
    throw new OrchestratorError(
      'unknown_workflow',
      `workflow: expected one of ${known}, got a recording of "${task.type}"`,
    );
  }
  const run = new RecordedRun(recording);
  const context = new RunContext(run, {
    caller: { service: () => {} },
    contracts: new ContractChecks({}),
    readsMessages: new Set(),
    // Steps that read a session are not executed.
    storage: {} as Storage,
  });
  return run.run(() => context.begin(fn), { signal, idleMs });
}

function catalogOf({ recording, workflows = {} }: ReplayRunOptions): WorkflowCatalog {
  const catalog = new WorkflowCatalog();
  // The built-in ones call some services only where these are there.
  const called = new Set(recording.steps.map(({ name }) => name.split('.')[0]));
  addBuiltInWorkflows(catalog, { has: (name) => called.has(name) });
  const version = recording.origin.version ?? 1;
  for (const [type, one] of Object.entries(workflows)) {
    if (isDefinition(one)) catalog.add(one.type, { version }, one.run);
    else catalog.add(type, { version }, one);
  }
  return catalog;
}
