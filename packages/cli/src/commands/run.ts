import { randomUUID } from 'node:crypto';
import { type JsonValue, OrchestratorError, type Task } from '@agent-orchestrator/core';
import type { Connection } from '../client/connection.js';
import { currentCursor, followTask } from '../client/task-follower.js';
import { jsonOf, readJsonFile } from '../documents/json-file.js';
import { EXIT, UsageError } from '../errors/errors.js';
import { exitCodeOfTask } from '../errors/exit-code.js';
import type { SettingFlags } from '../settings/settings.js';
import { EventPrinter } from '../print/event-printer.js';
import { sayReconnect, show } from './ask.js';
import { existingSession } from './chat.js';
import { type CommandContext, connectionOf } from './command-context.js';

export interface RunFlags extends SettingFlags {
  readonly input?: string;
  readonly inputFile?: string;
  readonly session?: string;
  readonly wait: boolean;
}

interface Submission {
  readonly type: string;
  readonly payload: JsonValue;
  readonly session_id?: string;
}

export async function run(context: CommandContext, what: string, flags: RunFlags): Promise<void> {
  const { terminal, signal } = context;
  const input = await readInput(context, flags);
  const submission = what.endsWith('.json')
    ? planTask(what, await readJsonFile(terminal.cwd, what), input)
    : { type: what, payload: input ?? {} };
  const connection = await connectionOf(context, flags);
  const session =
    flags.session === undefined ? {} : { session_id: await existingSession(connection, flags.session) };
  const after = await currentCursor(connection, signal);
  const { taskId, byEngine } = await submit(connection, { ...submission, ...session }, signal);
  if (!flags.wait) {
    if (terminal.json) terminal.record({ task_id: taskId });
    else terminal.data(taskId);
    return;
  }
  const events = new EventPrinter(terminal);
  const task = await followTask(connection, {
    taskId,
    after,
    signal,
    onEvent: (event) => events.print(event),
    onReconnect: sayReconnect(context),
  });
  if (task) {
    if (byEngine) refuseUnknown(what, task);
    await show(context, task, events);
    context.exit(exitCodeOfTask(task));
    return;
  }
  terminal.talk(
    `task ${taskId} goes on at ${connection.url}: "orchestrator-cli tasks tail ${taskId}" follows it`,
  );
  context.exit(EXIT.interrupted);
}

function planTask(
  file: string,
  plan: JsonValue,
  input: JsonValue | undefined,
): { type: string; payload: JsonValue } {
  if (typeof plan !== 'object' || plan === null || Array.isArray(plan)) {
    throw new UsageError(`${file}: expected a plan, an object with "steps", got something else`);
  }
  return { type: 'workflow', payload: { plan: input === undefined ? plan : { ...plan, input } } };
}

async function readInput({ terminal }: CommandContext, flags: RunFlags): Promise<JsonValue | undefined> {
  const { input, inputFile } = flags;
  if (input !== undefined && inputFile !== undefined) {
    throw new UsageError('expected --input or --input-file, got both');
  }
  if (inputFile !== undefined) return readJsonFile(terminal.cwd, inputFile);
  return input === undefined ? undefined : jsonOf(input, '--input');
}

/** An unknown task type may be a workflow of the Workflow Engine: `byEngine`. */
async function submit(
  connection: Connection,
  submission: Submission,
  signal: AbortSignal,
): Promise<{ readonly taskId: string; readonly byEngine: boolean }> {
  const post = async (body: JsonValue) => {
    const headers = { 'idempotency-key': randomUUID() };
    const { task_id } = await connection.api.post<{ task_id: string }>('/v1/tasks', body, {
      headers,
      signal,
    });
    return task_id;
  };
  try {
    return { taskId: await post({ ...submission }), byEngine: false };
  } catch (error) {
    if (!(error instanceof OrchestratorError) || error.code !== 'unknown_workflow') throw error;
    const { type: workflow, payload: input, ...rest } = submission;
    return {
      taskId: await post({ ...rest, type: 'workflow', payload: { workflow, input } }),
      byEngine: true,
    };
  }
}

/**
 * @throws {OrchestratorError} `unknown_workflow` when there is no Workflow Engine, or it does not know the
 *   name.
 */
function refuseUnknown(name: string, { error }: Task): void {
  const noEngine = error?.code === 'unknown_service' && error.message.includes('"workflow_engine"');
  if (!noEngine && error?.code !== 'unknown_workflow') return;
  const why = noEngine ? 'there is no Workflow Engine' : `the Workflow Engine says: ${error.message}`;
  throw new OrchestratorError('unknown_workflow', `no workflow "${name}": it is not a task type, and ${why}`);
}
