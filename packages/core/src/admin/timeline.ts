import type { TaskEvent } from '../protocol/events.js';
import type { JournalStep } from '../storage/call-journal.js';
import type { Admin, TaskOfTenant, TimelineReport, TimelineStep } from './admin.js';

/** Pages of a journal that a timeline has. */
const MAX_PAGES = 10;

/** Steps and attempts of a task with their times, from its journal and its events. */
export async function timelineOf(admin: Pick<Admin, 'journal'>, of: TaskOfTenant): Promise<TimelineReport> {
  const first = await admin.journal(of);
  const byKey = new Map(first.steps.map((step) => [step.key, step]));
  let { next } = first;
  for (let page = 1; page < MAX_PAGES && next !== undefined; page += 1) {
    const more = await admin.journal({ ...of, after: next });
    // A step may appear again in a newer state.
    for (const step of more.steps) byKey.set(step.key, step);
    ({ next } = more);
  }
  const { task, events } = first;
  const attempts = events.flatMap(attemptOf);
  const due = Math.max(Date.parse(task.created_at), task.run_at === undefined ? 0 : Date.parse(task.run_at));
  const [begun] = attempts;
  const startedAt = begun && Date.parse(begun.started_at);
  return {
    task,
    attempts,
    ...(startedAt !== undefined && { wait_ms: Math.max(0, startedAt - due) }),
    ...(startedAt !== undefined &&
      task.finished_at !== undefined && { run_ms: Math.max(0, Date.parse(task.finished_at) - startedAt) }),
    steps: [...stepsOf([...byKey.values()], attempts)],
    partial: next !== undefined,
  };
}

function attemptOf({ event, timestamp, data }: TaskEvent): TimelineReport['attempts'] {
  if (event !== 'task_started') return [];
  const { attempt = 1 } = data as { readonly attempt?: number };
  return [{ attempt, started_at: timestamp }];
}

function* stepsOf(
  steps: readonly JournalStep[],
  attempts: TimelineReport['attempts'],
): Generator<TimelineStep> {
  const starts = attempts.map(({ started_at }) => Date.parse(started_at));
  const ended = steps.filter(({ endedAt }) => endedAt !== undefined);
  const inOrder = ended.toSorted((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0));
  let before = Number.NEGATIVE_INFINITY;
  for (const step of inOrder) {
    const endedAt = step.endedAt ?? 0;
    const from = Math.max(before, ...starts.filter((at) => at <= endedAt));
    yield stepOf(step, Number.isFinite(from) && !step.inherited ? from : undefined);
    before = endedAt;
  }
  for (const step of steps) {
    const from = Math.max(before, ...starts);
    if (step.endedAt === undefined) yield stepOf(step, Number.isFinite(from) ? from : undefined);
  }
}

function stepOf(
  { key, kind, name, tries, outcome, endedAt, backingOff, inherited }: JournalStep,
  from: number | undefined,
): TimelineStep {
  return {
    key,
    kind,
    name,
    tries,
    state: outcome ? (outcome.ok ? 'completed' : 'failed') : backingOff ? 'backing_off' : 'open',
    inherited,
    ...(outcome && !outcome.ok && { error_code: outcome.error.code }),
    ...(from !== undefined && { began_at: new Date(from).toISOString() }),
    ...(endedAt !== undefined && { ended_at: new Date(endedAt).toISOString() }),
    ...(from !== undefined && endedAt !== undefined && { duration_ms: Math.max(0, endedAt - from) }),
  };
}
