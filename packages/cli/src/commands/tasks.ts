import { randomUUID } from 'node:crypto';
import { type Explanation, isFinalEvent, type Task } from '@agent-orchestrator/core';
import { type Topic } from '@agent-orchestrator/core/protocol';
import type { Backend } from '../client/backend.js';
import type { Connection } from '../client/connection.js';
import { wholeTaskId } from '../client/id-prefix.js';
import { followTopic } from '../client/live-socket.js';
import { sessionPath, taskPath } from '../client/routes.js';
import { EXIT, UsageError } from '../errors/errors.js';
import { jsonOf } from '../documents/json-file.js';
import { eventLine } from '../print/event-line.js';
import { printTimeline } from '../print/overview-report.js';
import { printTask } from '../print/task-report.js';
import type { SettingFlags } from '../settings/settings.js';
import { printable } from '../terminal/terminal.js';
import { sayReconnect } from './ask.js';
import { type CommandContext, connectionOf } from './command-context.js';
import { namedTask, openAccess, openBackend, type OperatorFlags } from './operator-context.js';
import { type PageFlags, printList } from './print-list.js';
import { watched, type WatchFlags } from './watch.js';
import { sinceOf } from './time-flag.js';
import { localTime } from '../print/local-time.js';

export interface ListFlags extends OperatorFlags, PageFlags {
  readonly status?: string;
  readonly type?: string;
  readonly session?: string;
  readonly code?: string;
  readonly since?: string;
}

export interface CancelFlags extends OperatorFlags {
  readonly reason?: string;
}

export interface SignalFlags extends OperatorFlags {
  readonly payload?: string;
}

export interface TailFlags extends SettingFlags {
  readonly session?: string;
}

export async function list(context: CommandContext, flags: ListFlags): Promise<void> {
  const { status, type, session: sessionId, code } = flags;
  const since = sinceOf(flags.since);
  await using backend = await openBackend(context, flags);
  await printList<Task>(
    context,
    { ...flags, usual: '20' },
    async (limit, cursor) => {
      const query = { status, type, sessionId, code, since, limit, cursor };
      const { tasks: items, next } = await backend.listTasks(query);
      return { items, next };
    },
    {
      none: 'no tasks',
      head: ['task', 'status', 'type', 'created', ''],
      row: (task) => [
        task.task_id,
        task.status,
        task.type,
        localTime(task.created_at),
        printable(task.error?.code ?? task.progress?.message ?? ''),
      ],
    },
  );
}

/** With `--watch` until the task has ended. */
export function show(
  context: CommandContext,
  text: string,
  flags: OperatorFlags & WatchFlags,
): Promise<void> {
  return watched(context, flags, async (each) => {
    await using backend = await openBackend(each, flags);
    const task = await backend.getTask(await wholeIdIn(backend, text));
    printTask(each.terminal, task);
    return task.finished_at !== undefined;
  });
}

export async function timeline(context: CommandContext, taskId: string, flags: OperatorFlags): Promise<void> {
  await using access = await openAccess(context, flags);
  const of = await namedTask(access, flags, taskId);
  printTimeline(context.terminal, await access.admin.timeline(of));
}

/** The whole id of a task of the backend's tenant. */
function wholeIdIn(backend: Backend, taskId: string): Promise<string> {
  return wholeTaskId(taskId, async (idPrefix, cursor) => {
    const { tasks, next } = await backend.listTasks({ idPrefix, cursor });
    return { ids: tasks.map(({ task_id }) => task_id), next };
  });
}

export async function why(context: CommandContext, taskId: string, flags: OperatorFlags): Promise<void> {
  const { terminal } = context;
  await using access = await openAccess(context, flags);
  const explanation = await access.admin.explain(await namedTask(access, flags, taskId));
  if (terminal.json) {
    terminal.record(explanation);
    return;
  }
  const { task, state, since, reason, position, diagnostic } = explanation;
  const kind = `${task.type}, priority ${task.priority}, attempt ${task.attempt} of ${task.max_attempts}`;
  terminal.data(`task ${task.task_id}: ${kind}`);
  terminal.data(`${terminal.paint('bold', state)} since ${localTime(since)}: ${printable(reason)}`);
  if (position !== undefined) terminal.data(`tasks of this tenant before it: ${position}`);
  for (const line of diagnosticLines(diagnostic)) terminal.data(printable(line));
}

/** The thrown error, its causes on a line each, and the stack. */
function diagnosticLines(diagnostic: Explanation['diagnostic']): string[] {
  if (!diagnostic) return [];
  const { message, causes = [], stack } = diagnostic;
  const inOneLine = (text: string) => text.replaceAll(/\s+/g, ' ');
  return [
    `thrown: ${inOneLine(message)}`,
    ...causes.map((cause) => `caused by: ${inOneLine(cause)}`),
    ...(stack === undefined ? [] : [stack]),
  ];
}

export async function cancel(
  context: CommandContext,
  taskId: string,
  flags: OperatorFlags & { readonly reason?: string },
): Promise<void> {
  const { terminal } = context;
  await using backend = await openBackend(context, flags);
  const task = await backend.cancelTask(await wholeIdIn(backend, taskId), flags.reason);
  if (terminal.json) terminal.record(task);
  else {
    const ended = task.finished_at !== undefined;
    terminal.data(`task ${task.task_id} is ${ended ? task.status : 'being cancelled'}`);
  }
}

export async function signal(
  context: CommandContext,
  taskId: string,
  { name, payload: text, ...flags }: SignalFlags & { readonly name: string },
): Promise<void> {
  const { terminal } = context;
  const payload = text === undefined ? null : jsonOf(text, '--payload');
  await using backend = await openBackend(context, flags);
  await backend.signalTask(taskId, { name, payload, id: randomUUID() });
  if (terminal.json) terminal.record({ task_id: taskId, name });
  else terminal.data(`task ${taskId} has the signal ${name}`);
}

export async function tail(
  context: CommandContext,
  taskId: string | undefined,
  flags: SettingFlags & { readonly session?: string },
): Promise<void> {
  const { terminal, signal } = context;
  if (taskId !== undefined && flags.session !== undefined)
    throw new UsageError('expected a task or --session, got both');
  const connection = await connectionOf(context, flags);
  const topic = await chosenTopic(connection, taskId, flags.session);
  terminal.talk(terminal.dim(`following at ${connection.url}, Ctrl-C ends`));
  const onReconnect = sayReconnect(context);
  for await (const frame of followTopic({ connection, topic, signal, onReconnect })) {
    if (terminal.json) terminal.record(frame);
    if (frame.event === 'subscribed') {
      if (!('task' in frame.snapshot)) continue;
      const { task } = frame.snapshot;
      if (!terminal.json) terminal.data(`task ${task.task_id}: ${task.type}, ${task.status}`);
      if (task.finished_at !== undefined) return;
    } else if (frame.event === 'gap') {
      terminal.talk('some events are no longer kept');
    } else {
      if (!terminal.json) terminal.data(eventLine(frame, terminal, terminal.stdout));
      if (isFinalEvent(frame.event) && frame.task_id === taskId) return;
    }
  }
  context.exit(EXIT.interrupted);
}

/** The named topic must exist: an unknown one would never have an event. */
async function chosenTopic(
  { api }: Connection,
  taskId: string | undefined,
  sessionId: string | undefined,
): Promise<Topic> {
  if (taskId !== undefined) {
    await api.get<Task>(taskPath(taskId));
    return { task_id: taskId };
  }
  if (sessionId === undefined) return { tenant: true };
  await api.get(sessionPath(sessionId));
  return { session_id: sessionId };
}
