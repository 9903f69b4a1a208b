import type { JsonValue, Task } from '@agent-orchestrator/core';
import { cutText } from '@agent-orchestrator/core/protocol';
import { inOneLine, printable, shownJson, type Terminal } from '../terminal/terminal.js';
import { durationText } from './duration.js';
import { localTime } from './local-time.js';
import { table } from './table.js';

/** Characters of a payload or result for people. */
const LONGEST = 2_000;

/** A task: for people what it is, when it ran, its calls and its outcome; for programs the task. */
export function printTask(terminal: Terminal, task: Task): void {
  if (terminal.json) {
    terminal.record(task);
    return;
  }
  for (const line of linesOf(terminal, task)) terminal.data(line);
}

function* linesOf(terminal: Terminal, task: Task): Generator<string> {
  const { status, error, progress, usage, delegated_services: calls } = task;
  const kind = `${task.type}, priority ${task.priority}, attempt ${task.attempt} of ${task.max_attempts}`;
  yield `task ${terminal.paint('bold', task.task_id)}: ${kind}`;
  yield `${terminal.paint(status === 'failed' ? 'red' : 'bold', status)}, ${timesOf(task)}`;
  const about = aboutOf(task);
  if (about !== '') yield about;
  if (progress) {
    const { percent, message } = progress;
    yield `progress: ${[percent === undefined ? '' : `${percent} %`, inOneLine(message ?? '')].filter(Boolean).join(' ')}`;
  }
  if (error) yield `error: ${error.code}: ${printable(error.message)}`;
  if (usage) yield `usage: ${usage.tokens} tokens${'model' in usage ? `, ${inOneLine(usage.model)}` : ''}`;
  if (calls.length > 0) {
    yield '';
    const rows = calls.map((call) => [
      call.operation === undefined ? call.service : `${call.service}.${call.operation}`,
      call.status,
      call.call_id ?? '',
      call.task_id ?? '',
    ]);
    yield* table(['call', 'status', 'id', 'job'], rows, terminal);
  }
  yield* partOf(terminal, 'payload', task.payload);
  if (task.result !== undefined) yield* partOf(terminal, 'result', task.result);
}

function timesOf({
  created_at: created,
  run_at: runAt,
  finished_at: finished,
  updated_at: updated,
}: Task): string {
  const begin = `created ${localTime(created)}`;
  const due = runAt === undefined ? '' : `, not before ${localTime(runAt)}`;
  if (finished === undefined) return `${begin}${due}, changed ${localTime(updated)}`;
  const from = Math.max(Date.parse(created), runAt === undefined ? 0 : Date.parse(runAt));
  return `${begin}${due}, ended ${localTime(finished)}, after ${durationText(Date.parse(finished) - from)}`;
}

function aboutOf(task: Task): string {
  const parts: readonly (readonly [string, string | undefined])[] = [
    ['session', task.session_id],
    ['agent', task.agent_id],
    ['user', task.metadata.user_id],
    ['batch', task.batch_id],
    ['parent', task.parent_task_id],
    ['requested by', task.requested_by],
    ['redriven from', task.redriven_from],
  ];
  return parts.flatMap(([name, id]) => (id === undefined ? [] : [`${name} ${inOneLine(id)}`])).join(', ');
}

function* partOf(terminal: Terminal, name: string, value: JsonValue): Generator<string> {
  yield '';
  const text = shownJson(value, 2);
  yield terminal.paint('bold', name);
  yield cutText(text, LONGEST);
  if (text.length > LONGEST)
    yield terminal.paint('dim', `… ${text.length - LONGEST} characters more: --json has them`);
}
