import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  JsonRefusedError,
  type JsonValue,
  OrchestratorError,
  parseJson,
  type Task,
} from '@agent-orchestrator/core';
import type { Command } from 'commander';
import type { Connection } from '../client/connection.js';
import { currentCursor, followTask } from '../client/task-follower.js';
import { EXIT, UsageError } from '../exit-code.js';
import { answerRecord, failureLine, printAnswer } from '../print/answer.js';
import { eventPrinter } from './chat.js';
import { type CommandContext, type CommonFlags, connectionOf, withClientFlags } from './command-context.js';

interface RunFlags extends CommonFlags {
  readonly input?: string;
  readonly inputFile?: string;
  readonly session?: string;
  readonly wait: boolean;
}

export function addRunCommand(program: Command, context: CommandContext): void {
  withClientFlags(program.command('run'))
    .description('run a workflow by its name, or a plan from a JSON file')
    .argument(
      '<workflow-or-plan.json>',
      'a type of task, a workflow of the Workflow Engine, or a file that ends in .json',
    )
    .option('-i, --input <json>', 'its input')
    .option('--input-file <file>', 'its input, from a JSON file')
    .option('-s, --session <id>', 'run it in this session')
    .option('--no-wait', 'print the task and leave it running')
    .action(async (what: string, flags: RunFlags) => {
      const connection = await connectionOf(context, flags);
      const input = await readInput(context, flags);
      const submission = what.endsWith('.json')
        ? planTask(await readJsonFile(context, what), input)
        : { type: what, payload: input ?? {} };
      const after = await currentCursor(connection, context.signal);
      const session = flags.session === undefined ? {} : { session_id: flags.session };
      const { task_id: taskId } = await submit(connection, { ...submission, ...session }, context.signal);
      if (!flags.wait) {
        if (context.terminal.json) context.terminal.record({ task_id: taskId });
        else context.terminal.data(taskId);
        return;
      }
      const task = await followTask(connection, {
        taskId,
        after,
        signal: context.signal,
        onEvent: eventPrinter(context),
      });
      finish(context, connection, taskId, task);
    });
}

function planTask(plan: JsonValue, input: JsonValue | undefined): { type: string; payload: JsonValue } {
  if (typeof plan !== 'object' || plan === null || Array.isArray(plan)) {
    throw new UsageError('the plan file: expected an object with "steps", got something else');
  }
  return { type: 'workflow', payload: { plan: input === undefined ? plan : { ...plan, input } } };
}

async function readInput({ terminal }: CommandContext, flags: RunFlags): Promise<JsonValue | undefined> {
  if (flags.input !== undefined && flags.inputFile !== undefined) {
    throw new UsageError('expected --input or --input-file, got both');
  }
  if (flags.inputFile !== undefined) return readJsonFile({ terminal }, flags.inputFile);
  return flags.input === undefined ? undefined : parseOr(flags.input, '--input');
}

async function readJsonFile(
  { terminal }: Pick<CommandContext, 'terminal'>,
  path: string,
): Promise<JsonValue> {
  const text = await readFile(resolve(terminal.cwd, path), 'utf8').catch((error: NodeJS.ErrnoException) => {
    const got = error.code === 'ENOENT' ? 'nothing there' : error.message;
    throw new UsageError(`expected a readable file, got ${got}: ${path}`);
  });
  return parseOr(text, path);
}

function parseOr(text: string, what: string): JsonValue {
  try {
    return parseJson(text);
  } catch (error) {
    throw error instanceof JsonRefusedError ? new UsageError(`${what}: ${error.reason}`) : error;
  }
}

/** A name that is no type of task may be one that the Workflow Engine knows. */
async function submit(
  connection: Connection,
  submission: { readonly type: string; readonly payload: JsonValue; readonly session_id?: string },
  signal: AbortSignal,
): Promise<{ task_id: string }> {
  const post = (body: JsonValue) =>
    connection.api.post<{ task_id: string }>('/v1/tasks', body, {
      headers: { 'idempotency-key': randomUUID() },
      signal,
    });
  try {
    return await post({ ...submission });
  } catch (error) {
    if (!(error instanceof OrchestratorError) || error.code !== 'unknown_workflow') throw error;
    const { type: workflow, payload: input, ...rest } = submission;
    return post({ ...rest, type: 'workflow', payload: { workflow, input } });
  }
}

function finish(
  context: CommandContext,
  connection: Connection,
  taskId: string,
  task: Task | undefined,
): void {
  const { terminal } = context;
  if (!task) {
    terminal.talk(
      `task ${taskId} goes on at ${connection.settings.url}: "orchestrator-cli tasks tail ${taskId}" follows it`,
    );
    context.exit(EXIT.interrupted);
    return;
  }
  if (terminal.json) terminal.record(answerRecord(task));
  else if (task.status === 'completed') printAnswer(task, terminal);
  else terminal.error(failureLine(task));
  if (task.status !== 'completed')
    context.exit(task.error?.code === 'timeout' ? EXIT.timeOut : EXIT.taskFailed);
}
