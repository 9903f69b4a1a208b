import type { Command } from 'commander';
import type { ChatFlags } from '../commands/chat.js';
import type { ExportFlags, ReplayFlags } from '../commands/recordings.js';
import type { CommandContext } from '../commands/command-context.js';
import type { IngestFlags } from '../commands/ingest.js';
import type { OperatorFlags } from '../commands/operator-context.js';
import type { RunFlags } from '../commands/run.js';
import type { ListFlags as SessionFlags } from '../commands/sessions.js';
import type { CancelFlags, ListFlags as TaskFlags, SignalFlags, TailFlags } from '../commands/tasks.js';
import type { WatchFlags } from '../commands/watch.js';
import type { SettingFlags } from '../settings/settings.js';
import {
  SESSION_ID,
  TASK_ID,
  withEitherFlags,
  withErrorFlags,
  withPageFlags,
  withTenantFlags,
  withWatchFlag,
} from './flags.js';

/** Commands that use an orchestrator. */
export function addUsingCommands(program: Command, context: CommandContext): void {
  program
    .command('chat')
    .description('ask a question, or start a conversation without one')
    .argument('[message...]', 'the question')
    .option('-s, --session <id>', 'continue this session')
    .option('-c, --continue', 'continue the newest session')
    .option('-a, --agent <id>', 'the agent that answers (default: assistant)')
    .option('-q, --quiet', 'only the answer, no events')
    .action(async (words: string[], flags: ChatFlags) =>
      (await import('../commands/chat.js')).chat(context, words, flags),
    );
  program
    .command('run')
    .description('run a workflow by its name, or a plan from a JSON file')
    .argument(
      '<workflow-or-plan.json>',
      'a type of task, a workflow of the Workflow Engine, or a file that ends in .json',
    )
    .option('-i, --input <json>', 'its input')
    .option('--input-file <file>', 'its input, from a JSON file')
    .option('-s, --session <id>', 'run it in this session')
    .option('--no-wait', 'print the task id and exit')
    .action(async (what: string, flags: RunFlags) =>
      (await import('../commands/run.js')).run(context, what, flags),
    );
  program
    .command('ingest')
    .description('ingest files and folders (Markdown, text, HTML) for questions about them')
    .argument('<paths...>', 'files and folders')
    .option('--collection <name>', 'target collection')
    .action(async (paths: string[], flags: IngestFlags) =>
      (await import('../commands/ingest.js')).ingestPaths(context, paths, flags),
    );
  program
    .command('status')
    .description('whether the orchestrator is ready, with its checks')
    .action(async (flags: SettingFlags) => (await import('../commands/status.js')).status(context, flags));
  addTaskCommands(program, context);
  addSessionCommands(program, context);
  addReplayCommand(program, context);
}

function addTaskCommands(program: Command, context: CommandContext): void {
  const actions = () => import('../commands/tasks.js');
  const tasks = program.command('tasks').description('list, show, follow, signal and cancel tasks');
  const list = withEitherFlags(tasks.command('list'))
    .description('the newest tasks')
    .option('--status <status>', 'pending, processing, completed, failed or cancelled')
    .option('--type <type>', 'only of this type')
    .option('-s, --session <id>', 'only of this session');
  withPageFlags(withErrorFlags(list), 20).action(async (flags: TaskFlags) =>
    (await actions()).list(context, flags),
  );
  withWatchFlag(withEitherFlags(tasks.command('show')))
    .description('one task, with payload, result and calls')
    .argument('<task-id>', TASK_ID)
    .action(async (taskId: string, flags: OperatorFlags & WatchFlags) =>
      (await actions()).show(context, taskId, flags),
    );
  withTenantFlags(tasks.command('why'))
    .description('explain the state of a task, as operators see it')
    .argument('<task-id>', TASK_ID)
    .action(async (taskId: string, flags: OperatorFlags) => (await actions()).why(context, taskId, flags));
  withTenantFlags(tasks.command('timeline'))
    .description('attempts and steps of a task with their times')
    .argument('<task-id>', TASK_ID)
    .action(async (taskId: string, flags: OperatorFlags) =>
      (await actions()).timeline(context, taskId, flags),
    );
  withTenantFlags(tasks.command('export'))
    .description('write a run of a task to a file, for "replay": payload, steps, results, events')
    .argument('<task-id>', TASK_ID)
    .option('-o, --output <file>', 'file to write; it must not exist (default: standard output)')
    .action(async (taskId: string, flags: ExportFlags) =>
      (await import('../commands/recordings.js')).exportRun(context, taskId, flags),
    );
  withEitherFlags(tasks.command('cancel'))
    .description('cancel a task')
    .argument('<task-id>', TASK_ID)
    .option('--reason <text>', 'reason, kept with the task')
    .action(async (taskId: string, flags: CancelFlags) => (await actions()).cancel(context, taskId, flags));
  withEitherFlags(tasks.command('signal'))
    .description('give a waiting task what it waits for, such as an approval; kept until it asks')
    .argument('<task-id>')
    .argument('<name>', 'name of the signal')
    .option('--payload <json>', 'its payload (default: null)')
    .action(async (taskId: string, name: string, flags: SignalFlags) =>
      (await actions()).signal(context, taskId, { ...flags, name }),
    );
  tasks
    .command('tail')
    .description('follow live events of a task, a session, or all')
    .argument('[task-id]')
    .option('-s, --session <id>', 'only of this session')
    .action(async (taskId: string | undefined, flags: TailFlags) =>
      (await actions()).tail(context, taskId, flags),
    );
}

function addSessionCommands(program: Command, context: CommandContext): void {
  const actions = () => import('../commands/sessions.js');
  const sessions = program.command('sessions').description('list, show and close conversations');
  const list = withEitherFlags(sessions.command('list'))
    .description('the newest sessions')
    .option('--status <status>', 'active or closed');
  withPageFlags(list, 20).action(async (flags: SessionFlags) => (await actions()).list(context, flags));
  withEitherFlags(sessions.command('show'))
    .description('one session, with its recent messages and live tasks')
    .argument('<session-id>', SESSION_ID)
    .option('-n, --limit <count>', 'maximum number of messages (default: 50)')
    .action(async (sessionId: string, flags: SessionFlags) =>
      (await actions()).show(context, sessionId, flags),
    );
  withEitherFlags(sessions.command('close'))
    .description('close a session; its live tasks are cancelled')
    .argument('<session-id>', SESSION_ID)
    .action(async (sessionId: string, flags: OperatorFlags) =>
      (await actions()).close(context, sessionId, flags),
    );
}

function addReplayCommand(program: Command, context: CommandContext): void {
  program
    .command('replay')
    .description(
      'run today\'s code of a workflow against a run that "tasks export" has written; nothing is executed',
    )
    .argument('<file>')
    .requiredOption('--workflows <module>', 'module whose exports are the workflows, or a config file')
    .action(async (file: string, flags: ReplayFlags) =>
      (await import('../commands/recordings.js')).replay(context, file, flags),
    );
}
