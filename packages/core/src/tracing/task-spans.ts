import type { TaskError } from '../protocol/errors.js';
import type { Task } from '../protocol/task.js';
import { genAiRunAttributes } from './gen-ai-attributes.js';
import { type Attributes, startSpan, type TraceSpan } from './spans.js';

type About = Pick<Task, 'task_id' | 'tenant_id' | 'type'> &
  Partial<Pick<Task, 'session_id' | 'parent_task_id'>>;

/** Attributes of the messaging conventions: a task is a message, its type the destination. */
function messaging(task: About, operation: string, type: 'send' | 'process'): Attributes {
  return { ...ofTask(task), 'messaging.operation.name': operation, 'messaging.operation.type': type };
}

function ofTask({ task_id, tenant_id, type, session_id }: About): Attributes {
  return {
    'messaging.system': 'agent_orchestrator',
    'messaging.destination.name': type,
    'messaging.message.id': task_id,
    'agent_orchestrator.tenant.id': tenant_id,
    ...(session_id !== undefined && { 'messaging.message.conversation_id': session_id }),
  };
}

/** Submission of a task, child of the active span, else of the `traceparent` that came with the submission. */
export function startSubmitSpan(task: About, parent: string | undefined): TraceSpan | undefined {
  const attributes = () => messaging(task, 'submit', 'send');
  return startSpan({ name: `submit ${task.type}`, kind: 'producer', parent, attributes });
}

/** Spans of runs that are under way, by their claims: steps are their children. */
const runs = new WeakMap<object, TraceSpan>();

interface RunClaim {
  readonly task: Task;
  readonly journalRev: number;
}

/** A run of a task, from its claim; before the first one also the wait in the queue. */
export function startRunSpan(claim: RunClaim, now: number): TraceSpan | undefined {
  const { task, journalRev } = claim;
  const parent = task.metadata.traceparent;
  const isFirst = task.attempt === 1 && journalRev === 0;
  if (isFirst) {
    // The storage's clock may be ahead of this one.
    const startedAt = Math.min(now, Date.parse(task.run_at ?? task.created_at));
    startSpan({ name: `wait ${task.type}`, parent, startedAt, attributes: () => ofTask(task) })?.end();
  }
  const span = startSpan({
    name: `process ${task.type}`,
    kind: 'consumer',
    parent,
    attributes: () => ({
      ...messaging(task, 'process', 'process'),
      'agent_orchestrator.task.attempt': task.attempt,
      'agent_orchestrator.task.resumed': !isFirst,
      ...genAiRunAttributes(task),
    }),
  });
  if (span) runs.set(claim, span);
  return span;
}

/** End of a run, by its settlement. */
export function endRunSpan(
  span: TraceSpan | undefined,
  end: { readonly kind: string; readonly error?: TaskError | undefined },
): void {
  span?.set({ 'agent_orchestrator.run.end': end.kind });
  span?.end(end.error);
}

/** A step that is executed; a replayed one has no span. */
export function startStepSpan(
  claim: RunClaim,
  { kind, name }: { readonly kind: string; readonly name: string },
): TraceSpan | undefined {
  const run = runs.get(claim);
  const parent = run?.traceparent ?? claim.task.metadata.traceparent;
  const attributes = () => ({
    'agent_orchestrator.step.kind': kind,
    'agent_orchestrator.step.name': name,
    'messaging.message.id': claim.task.task_id,
  });
  return startSpan({ name: kind === 'call' ? `call ${name}` : name, parent, attributes });
}
