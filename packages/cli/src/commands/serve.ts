import type { Command } from 'commander';
import { fired } from '../interrupt.js';
import {
  configuredCredentials,
  type Credentials,
  devCredentials,
  isLoopback,
  leaveDevCredentials,
} from '../node/credentials.js';
import { type LocalNode, startNode } from '../node/local-node.js';
import { terminalLogger } from '../node/logger.js';
import type { Settings } from '../settings/settings.js';
import { type CommandContext, type CommonFlags, settingsOf, withServerFlags } from './command-context.js';

export function addServeCommands(program: Command, context: CommandContext): void {
  withServerFlags(program.command('dev'))
    .description('start an orchestrator with the local stack of services, for trying things out')
    .action(async (flags: CommonFlags) => {
      const settings = await settingsOf(context, flags);
      const { node, credentials, forget } = await startDev(context, settings);
      sayHowToTalk(context, node, credentials);
      await untilInterrupted(context, node, forget);
    });
  withServerFlags(program.command('serve'))
    .description('start an orchestrator for the services and workflows of the config file')
    .action(async (flags: CommonFlags) => {
      const settings = await settingsOf(context, flags);
      const credentials = configuredCredentials(settings);
      warnOfPlainText(context, settings);
      const node = await startNode({
        settings,
        credentials,
        withLocalStack: false,
        logger: terminalLogger(context.terminal),
      });
      const names = Object.keys(settings.services);
      context.terminal.talk(`orchestrator listens at ${node.url}`);
      context.terminal.talk(`services: ${names.length > 0 ? names.join(', ') : 'none configured'}`);
      if (context.terminal.json) context.terminal.record({ url: node.url });
      await untilInterrupted(context, node);
    });
}

/** Starts the orchestrator with the local stack, and leaves made-up credentials for commands in this folder. */
export async function startDev(
  context: CommandContext,
  settings: Settings,
): Promise<{
  readonly node: LocalNode;
  readonly credentials: Credentials;
  readonly forget: () => Promise<void>;
}> {
  const credentials = devCredentials(settings);
  warnOfPlainText(context, settings);
  const node = await startNode({
    settings,
    credentials,
    withLocalStack: true,
    logger: terminalLogger(context.terminal),
  });
  const { cwd } = context.terminal;
  const forget = credentials.madeUp
    ? await leaveDevCredentials(cwd, node.url, credentials.apiKey)
    : async () => {};
  return { node, credentials, forget };
}

function warnOfPlainText({ terminal }: CommandContext, settings: Settings): void {
  if (!isLoopback(settings.host)) {
    terminal.talk(`warning: plain http on ${settings.host}: put a proxy that speaks TLS in front of it`);
  }
}

function sayHowToTalk({ terminal }: CommandContext, node: LocalNode, credentials: Credentials): void {
  if (terminal.json) {
    terminal.record({
      url: node.url,
      tenant: credentials.tenant,
      ...(credentials.madeUp && { api_key: credentials.apiKey }),
    });
    return;
  }
  terminal.talk(`orchestrator listens at ${node.url}, tenant "${credentials.tenant}"`);
  if (credentials.madeUp) {
    terminal.talk('made-up API key, for this run only (commands in this folder find it by themselves):');
    terminal.talk(`  export ORCHESTRATOR_API_KEY=${credentials.apiKey}`);
  }
  for (const line of nextSteps(node.url)) terminal.talk(line);
}

/** What to type in another terminal. */
export function nextSteps(url: string): string[] {
  const target = new URL(url).port === '8000' ? '' : ` --url ${url}`;
  return [
    'next, in another terminal:',
    `  npx orchestrator-cli ingest${target} <folder of your documents>`,
    `  npx orchestrator-cli chat${target} "<a question about them>"`,
    `  npx orchestrator-cli chat${target}          a conversation`,
    `  npx orchestrator-cli tasks list${target}`,
    'Ctrl-C ends it.',
  ];
}

/** Serves until SIGINT or SIGTERM, then ends cleanly. */
export async function untilInterrupted(
  context: CommandContext,
  node: LocalNode,
  forget?: () => Promise<void>,
): Promise<void> {
  await fired(context.signal);
  context.terminal.talk('stopping …');
  await forget?.();
  await node.stop();
  context.terminal.talk('stopped');
}
