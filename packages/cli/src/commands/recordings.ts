import { stat, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { WorkflowDefinition, WorkflowFunction } from '@agent-orchestrator/core';
import { isDefinition, type JournalReport } from '@agent-orchestrator/core/server';
import { readRecording, recordingOf, replayRun, type RunRecording } from '@agent-orchestrator/core/testing';
import { readJsonFile } from '../documents/json-file.js';
import { ConfigurationError, EXIT, UsageError } from '../errors/errors.js';
import { importModule } from '../settings/config-file.js';
import type { CommandContext } from './command-context.js';
import { openAccess, type OperatorFlags, namedTask } from './operator-context.js';

export interface ExportFlags extends OperatorFlags {
  readonly output?: string;
}

export interface ReplayFlags {
  readonly workflows: string;
}

/** A journal has 16 MiB at most; as JSON with its events and the payload it takes more. */
const MAX_RECORDING_BYTES = 64 * 1024 * 1024;
const MAX_PAGES = 10_000;

type Workflows = Record<string, WorkflowFunction<never> | WorkflowDefinition>;

/** Writes a run to a file, or to standard output. */
export async function exportRun(context: CommandContext, taskId: string, flags: ExportFlags): Promise<void> {
  const { terminal } = context;
  const recording = await recordingFrom(context, taskId, flags);
  const text = `${JSON.stringify(recording)}\n`;
  if (flags.output === undefined) {
    terminal.data(text.trimEnd());
    return;
  }
  const path = resolve(terminal.cwd, flags.output);
  // It holds payloads and results: only this user reads it.
  await writeFile(path, text, { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    const got = error.code === 'EEXIST' ? 'one that is there already' : error.message;
    throw new UsageError(`--output: expected a file to create, got ${got}: ${flags.output}`);
  });
  const { steps, task } = recording;
  if (terminal.json) terminal.record({ file: path, task_id: task.task_id, steps: steps.length });
  else
    terminal.talk(
      `${steps.length} ${steps.length === 1 ? 'step' : 'steps'} of a task of type "${task.type}" are in ${flags.output}`,
    );
}

async function recordingFrom(
  context: CommandContext,
  taskId: string,
  flags: OperatorFlags,
): Promise<RunRecording> {
  await using access = await openAccess(context, flags);
  const of = await namedTask(access, flags, taskId);
  const first = await access.admin.journal(of);
  const steps = new Map(first.steps.map((step) => [step.key, step]));
  let page: JournalReport = first;
  for (let pages = 1; page.next !== undefined && pages < MAX_PAGES; pages += 1) {
    page = await access.admin.journal({ ...of, after: page.next });
    for (const step of page.steps) steps.set(step.key, step);
  }
  const { task, origin, events } = first;
  const inOrder = [...steps.values()].toSorted((a, b) => a.rev - b.rev);
  return recordingOf({ task, origin, steps: inOrder, events });
}

/** Runs today's code against a recording. Exit code 1: it departs from it. */
export async function replay(context: CommandContext, file: string, flags: ReplayFlags): Promise<void> {
  const { terminal, signal } = context;
  const recording = readRecording(await readJsonFile(terminal.cwd, file, MAX_RECORDING_BYTES));
  context.leaveSignals?.();
  const workflows = await workflowsOf(resolve(terminal.cwd, flags.workflows), flags.workflows);
  const report = await replayRun({ recording, workflows, signal });
  const { replayed, departure, ends } = report;
  const recorded = recording.steps.length;
  const count = `${replayed} of ${recorded} recorded ${recorded === 1 ? 'step' : 'steps'}`;
  if (terminal.json) terminal.record({ ...report, steps: recording.steps.length });
  else if (departure) {
    const { step, key, expected, got } = departure;
    terminal.data(
      `departs at ${step === 'end' ? 'the end' : `the step "${step}"${key === undefined ? '' : ` (${key})`}`}`,
    );
    terminal.data(`  expected ${expected}, got ${got}`);
    terminal.data(`  ${count} were replayed before`);
  } else {
    terminal.data(`as recorded: ${count}${ends === undefined ? '' : `; the recording ends ${ends}`}`);
  }
  if (departure) context.exit(EXIT.taskFailed);
}

/** The workflows that a module exports: definitions, functions by their name, or those of a config file. */
async function workflowsOf(path: string, given: string): Promise<Workflows> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile())
    throw new ConfigurationError(`--workflows: expected a file, got "${given}", which is none`);
  const { default: main, ...named } = await importModule(path);
  const workflows: Workflows = {};
  const add = (name: string, one: unknown) => {
    if (isDefinition(one)) workflows[one.type] = one;
    else if (typeof one === 'function') workflows[name] = one as WorkflowFunction<never>;
  };
  for (const [name, one] of Object.entries(named)) add(name, one);
  if (isDefinition(main)) add('', main);
  else if (typeof main === 'object' && main !== null) {
    const configured: unknown = 'workflows' in main ? main.workflows : main;
    if (typeof configured === 'object' && configured !== null)
      for (const [name, one] of Object.entries(configured)) add(name, one);
  }
  if (Object.keys(workflows).length > 0) return workflows;
  throw new ConfigurationError(
    `--workflows: expected a module that exports workflows, got none in "${given}": functions by type, what defineWorkflow returns, or a config file`,
  );
}
