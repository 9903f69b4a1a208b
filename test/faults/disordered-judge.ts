import type { Task } from '@agent-orchestrator/core';
import { type DisorderedRun, type ServiceTry, SILENCE_MS } from './disordered-run.js';
import type { ReachedOutcome } from './report-tap.js';

const LEGAL_ACKS = new Set(['applied', 'duplicate', 'late', 'stale', 'retry_later', 'unknown_task']);
/** Timers may fire this much early. */
const EARLY_MS = 5;
const TRIES = 3;

/** All violations of the guarantees, as text. */
export function judge(run: DisorderedRun): string[] {
  const violations = [...run.client.violations];
  for (const id of run.taskIds) violations.push(...judgeTask(run, id));
  for (const outcome of run.acks.keys()) if (!LEGAL_ACKS.has(outcome)) violations.push(`an ack "${outcome}"`);
  for (const id of run.unknown) {
    if (!run.cancelled.has(id))
      violations.push(`${id}: unknown_task for a notification of a task that was not cancelled`);
  }
  if (run.unacknowledged > 0) violations.push(`${run.unacknowledged} notifications have no ack`);
  if (run.client.gaps > 0) violations.push('the client received a gap');
  return violations;
}

function judgeTask(run: DisorderedRun, id: string): string[] {
  const task = run.tasks.get(id);
  const final = run.client.finals.get(id);
  const tries = run.tries.get(id) ?? [];
  if (!task || !final) return [`${id}: stuck (${task?.status}, ${tries.length} tries)`];
  const prefixed = (text: string) => `${id}: ${text}`;
  const violations: string[] = [];
  if (final.rev !== task.rev)
    violations.push(prefixed(`its final event is rev ${final.rev}, the task's is ${task.rev}`));
  if (final.event !== (task.status === 'completed' ? 'task_completed' : 'task_failed')) {
    violations.push(prefixed(`${final.event} for a task that is ${task.status}`));
  }
  if (new Set(tries.map(({ call }) => call.call_id)).size !== tries.length)
    violations.push(prefixed('a call_id twice'));
  if (tries.length > TRIES) violations.push(prefixed(`${tries.length} tries`));
  for (const [index, one] of tries.entries()) {
    if (one.call.attempt !== index + 1)
      violations.push(prefixed(`try ${index + 1} says ${one.call.attempt}`));
    violations.push(...judgeOutcomes(run.tap.outcomes.get(one.job) ?? []).map(prefixed));
    const next = tries[index + 1];
    if (next) violations.push(...judgeNewTry(run, one, next).map(prefixed));
  }
  violations.push(...judgeEnd(run, task, tries).map(prefixed));
  return violations;
}

/** Only the first outcome of a call may be applied. */
function judgeOutcomes(reached: readonly ReachedOutcome[]): string[] {
  const applied = reached.filter(({ answer }) => answer === 'applied');
  if (applied.length > 1) return [`${applied.length} outcomes of one call were applied`];
  if (applied.length === 1 && reached[0] !== applied[0]) return ['not the first outcome was applied'];
  return [];
}

function appliedOf(run: DisorderedRun, one: ServiceTry): ReachedOutcome | undefined {
  return run.tap.outcomes.get(one.job)?.find(({ answer }) => answer === 'applied');
}

/** A new try follows a retryable failure, or silence. */
function judgeNewTry(run: DisorderedRun, one: ServiceTry, next: ServiceTry): string[] {
  const applied = appliedOf(run, one);
  if (applied) {
    const retryable = one.plan.notices.some((notice) => notice.kind === 'failed' && notice.retryable);
    return applied.ok || !retryable ? ['a new try after an outcome that is final'] : [];
  }
  const silentMs = next.at - one.answeredAt;
  return silentMs < SILENCE_MS - EARLY_MS ? [`a new try after ${silentMs} ms of silence`] : [];
}

function judgeEnd(run: DisorderedRun, task: Task, tries: readonly ServiceTry[]): string[] {
  const cancelled = run.cancelled.has(task.task_id);
  if (task.status === 'cancelled') return cancelled ? [] : ['cancelled without a request'];
  const last = tries.at(-1);
  if (!last) return ['ended without a try'];
  const applied = appliedOf(run, last);
  if (task.status === 'completed') {
    const direct = last.plan.kind === 'answers at once' && task.result === `${resultOf(last)} direct`;
    const reported = applied?.ok === true && applied.value === task.result;
    return direct || reported ? [] : [`a result of no try: ${JSON.stringify(task.result)}`];
  }
  if (applied?.ok === true) return [`failed, though ${JSON.stringify(applied.value)} was applied`];
  const { code = 'none', message = '' } = task.error ?? {};
  const isLast = tries.length === TRIES;
  if (code === 'service_error') {
    if (last.plan.kind === 'fails, retryable' && !isLast)
      return ['a retryable failure that was not tried again'];
    return applied && message.includes(String(applied.value)) ? [] : ['an error of no try'];
  }
  // The last try was silent.
  return code === 'timeout' && isLast ? [] : [`failed with ${code} after ${tries.length} tries: ${message}`];
}

function resultOf({ call }: ServiceTry): string {
  return `result ${(call.input as { n: number }).n}.${call.attempt}`;
}
