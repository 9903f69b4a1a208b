import { cutText } from '@agent-orchestrator/core/protocol';
import type { JsonValue, Task } from '@agent-orchestrator/core';
import { inOneLine, printable, shownJson, type Terminal } from '../terminal/terminal.js';

interface Source {
  readonly title?: string;
  readonly quote?: string;
}

/** Answer of a task for people: its text, unless already written, and sources; otherwise its JSON. */
export function printAnswer(
  task: Task,
  terminal: Terminal,
  { isThere }: { readonly isThere: boolean },
): void {
  const { result } = task;
  const said = typeof result === 'object' && result !== null && !Array.isArray(result) ? result : undefined;
  const content = said?.['content'] ?? said?.['answer'];
  if (typeof content !== 'string') {
    terminal.data(shownJson(result ?? null, 2));
    return;
  }
  if (!isThere) terminal.data(printable(content));
  const sources = (said?.['sources'] ?? []) as readonly Source[];
  if (sources.length === 0) return;
  terminal.data('');
  terminal.data(terminal.paint('bold', 'Sources'));
  for (const [index, source] of sources.entries()) terminal.data(sourceLine(index + 1, source, terminal));
}

function sourceLine(number: number, { title, quote }: Source, terminal: Terminal): string {
  const passage = printable(quote ?? '')
    .replaceAll(/\s+/g, ' ')
    .trim();
  const shown = cutText(passage, 240, '…');
  return ` [${number}] ${terminal.paint('cyan', inOneLine(title ?? 'untitled'))}\n     ${terminal.paint('dim', shown)}`;
}

/** Answer of a task for programs: one JSON value. */
export function answerRecord(task: Task): { [key: string]: JsonValue } {
  const { task_id, session_id, status, result, error, usage } = task;
  const content = (result as { content?: unknown } | null | undefined)?.content;
  return {
    task_id,
    ...(session_id !== undefined && { session_id }),
    status,
    ...(typeof content === 'string' && { message: { role: 'assistant', content } }),
    ...(result !== undefined && { result }),
    ...(error && { error: { ...error } }),
    ...(usage && { usage: { ...usage } }),
  };
}

/** One line about a task that did not complete. */
export function failureLine(task: Task): string {
  return `task ${task.task_id} ${task.status}: ${task.error?.code ?? 'unknown'}: ${task.error?.message ?? ''}`;
}
