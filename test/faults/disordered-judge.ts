import type { Task } from '@agent-orchestrator/core';
import { type DisorderedRun, type HadTry, SILENCE_MS } from './disordered-run.js';
import type { ReachedOutcome } from './report-tap.js';

const LEGAL_ACKS = new Set(['applied', 'duplicate', 'late', 'stale', 'retry_later', 'unknown_task']);
/** Timers may fire this much early. */
const EARLY_MS = 5;
const TRIES = 3;

/** Everything that is not as promised, in words. */
export function judge(run: DisorderedRun): string[] {
  const wrong = [...run.client.wrong];
  for (const id of run.taskIds) wrong.push(...judgeTask(run, id));
  for (const outcome of run.acks.keys()) if (!LEGAL_ACKS.has(outcome)) wrong.push(`an ack "${outcome}"`);
  for (const id of run.unknown) {
    if (!run.cancelled.has(id)) wrong.push(`${id}: a notification of it was not known, nobody cancelled it`);
  }
  if (run.unacknowledged > 0) wrong.push(`${run.unacknowledged} notifications have no ack`);
  if (run.client.gaps > 0) wrong.push('the client was told of a gap');
  return wrong;
}

function judgeTask(run: DisorderedRun, id: string): string[] {
  const task = run.tasks.get(id);
  const final = run.client.finals.get(id);
  const tries = run.tries.get(id) ?? [];
  if (!task || !final) return [`${id}: stuck (${task?.status}, ${tries.length} tries)`];
  const say = (words: string) => `${id}: ${words}`;
  const wrong: string[] = [];
  if (final.rev !== task.rev)
    wrong.push(say(`its final event is rev ${final.rev}, the task's is ${task.rev}`));
  if (final.event !== (task.status === 'completed' ? 'task_completed' : 'task_failed')) {
    wrong.push(say(`${final.event} for a task that is ${task.status}`));
  }
  if (new Set(tries.map(({ call }) => call.call_id)).size !== tries.length)
    wrong.push(say('a call_id twice'));
  if (tries.length > TRIES) wrong.push(say(`${tries.length} tries`));
  for (const [index, had] of tries.entries()) {
    if (had.call.attempt !== index + 1) wrong.push(say(`try ${index + 1} says ${had.call.attempt}`));
    wrong.push(...judgeOutcomes(run.tap.outcomes.get(had.job) ?? []).map(say));
    const next = tries[index + 1];
    if (next) wrong.push(...judgeNewTry(run, had, next).map(say));
  }
  wrong.push(...judgeEnd(run, task, tries).map(say));
  return wrong;
}

/** Only the first outcome of a call may count. */
function judgeOutcomes(reached: readonly ReachedOutcome[]): string[] {
  const applied = reached.filter(({ answer }) => answer === 'applied');
  if (applied.length > 1) return [`${applied.length} outcomes of one call were applied`];
  if (applied.length === 1 && reached[0] !== applied[0]) return ['not the first outcome was applied'];
  return [];
}

function appliedOf(run: DisorderedRun, had: HadTry): ReachedOutcome | undefined {
  return run.tap.outcomes.get(had.job)?.find(({ answer }) => answer === 'applied');
}

/** A new try comes after a failure that says so, or after silence. */
function judgeNewTry(run: DisorderedRun, had: HadTry, next: HadTry): string[] {
  const applied = appliedOf(run, had);
  if (applied) {
    const retryable = had.plan.words.some((word) => word.say === 'failed' && word.retryable);
    return applied.ok || !retryable ? ['a new try after an outcome that is final'] : [];
  }
  const silentMs = next.at - had.answeredAt;
  return silentMs < SILENCE_MS - EARLY_MS ? [`a new try after ${silentMs} ms of silence`] : [];
}

function judgeEnd(run: DisorderedRun, task: Task, tries: readonly HadTry[]): string[] {
  const cancelled = run.cancelled.has(task.task_id);
  if (task.status === 'cancelled') return cancelled ? [] : ['cancelled by nobody'];
  const last = tries.at(-1);
  if (!last) return ['ended without a try'];
  const applied = appliedOf(run, last);
  if (task.status === 'completed') {
    const direct = last.plan.kind === 'answers at once' && task.result === `${resultOf(last)} direct`;
    const reported = applied?.ok === true && applied.value === task.result;
    return direct || reported ? [] : [`a result of nobody: ${JSON.stringify(task.result)}`];
  }
  if (applied?.ok === true) return [`failed, though ${JSON.stringify(applied.value)} was applied`];
  const { code = 'none', message = '' } = task.error ?? {};
  if (code === 'service_error')
    return applied && message.includes(String(applied.value)) ? [] : ['a wrong error'];
  const outOfTries = code === 'attempts_exhausted' && tries.length === TRIES;
  return outOfTries ? [] : [`failed with ${code} after ${tries.length} tries: ${message}`];
}

function resultOf({ call }: HadTry): string {
  return `result ${(call.input as { n: number }).n}.${call.attempt}`;
}
