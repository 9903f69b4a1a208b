import type { Storage } from '@agent-orchestrator/core';
import type { Command } from 'commander';
import { ConfigurationError } from '../exit-code.js';
import { fired } from '../interrupt.js';
import type { Credentials } from '../node/credentials.js';
import type { LocalNode } from '../node/local-node.js';
import { terminalLogger } from '../node/logger.js';
import { readJsonFile } from '../documents/json-file.js';
import { redisLabel } from '../settings/redis-setting.js';
import type { SettingFlags, Settings } from '../settings/settings.js';
import { type CommandContext, serverSettings, withServerFlags, withStorageFlags } from './command-context.js';

/** Grace period without a shared storage, ms: the memory is lost in any case. */
const GRACE_MS = 2_000;
/** Grace period with a shared storage, ms: unfinished tasks are released to other processes. */
const SHARED_GRACE_MS = 10_000;

/** Lazy: clients start sooner without the orchestrator. */
async function loadNode() {
  const [credentials, node, split, stack] = await Promise.all([
    import('../node/credentials.js'),
    import('../node/local-node.js'),
    import('../node/split-stack.js'),
    import('@agent-orchestrator/local-stack'),
  ]);
  return { ...credentials, ...node, ...split, serviceDefinitions: stack.serviceDefinitions };
}

export function addServeCommands(program: Command, context: CommandContext): void {
  withStorageFlags(withServerFlags(program.command('dev')))
    .description('start an orchestrator with the local stack of services, for development')
    .option('--split', 'run every service in a process of its own, over HTTP, restarted when it exits')
    .action(async (flags: SettingFlags & { readonly split?: boolean }) => {
      const settings = await serverSettings(context, flags);
      const dev = await startDev(context, settings, { split: flags.split === true });
      sayHowToTalk(context, dev);
      await untilInterrupted(context, dev.node, { forget: dev.forget, graceMs: graceOf(settings) });
    });
  withStorageFlags(withServerFlags(program.command('serve')))
    .description('start an orchestrator for the services and workflows of the config file')
    .option(
      '--role <role>',
      'api answers clients and services, worker runs tasks, all does both (default: ORCHESTRATOR_ROLE, else all)',
    )
    .action(async (flags: SettingFlags) => {
      await serve(context, await serverSettings(context, flags));
    });
}

async function serve(context: CommandContext, settings: Settings): Promise<void> {
  const { terminal } = context;
  const { role, redis } = settings;
  if (role !== 'all' && !redis) throw new ConfigurationError(lonely(role));
  const { configuredCredentials, startNode } = await loadNode();
  // A worker has no clients.
  const credentials = role === 'worker' ? undefined : configuredCredentials(settings);
  const storage = await openStorageOf(context, settings);
  const logger = terminalLogger(terminal);
  const node = await startNode({
    settings,
    role,
    storage,
    withLocalStack: false,
    logger,
    ...(credentials && { credentials }),
  });
  const names = (of: object) => Object.keys(of).join(', ') || 'none configured';
  terminal.talk(`${role === 'all' ? 'orchestrator' : role} listens at ${node.url}`);
  if (redis) terminal.talk(`storage: ${redisLabel(redis)}`);
  terminal.talk(`services: ${names(settings.services)}`);
  terminal.talk(`workflows: ${names(settings.workflows)}`);
  if (terminal.json) terminal.record({ url: node.url, ...(redis && { role }) });
  await untilInterrupted(context, node, { graceMs: graceOf(settings) });
}

function lonely(role: string): string {
  const why = role === 'worker' ? 'would never get work' : 'has no worker for its tasks';
  return `role "${role}" without a storage that others share ${why}: expected --redis <url> or ORCHESTRATOR_REDIS_URL, got nothing`;
}

/** Storage of the settings; absent: in memory. */
async function openStorageOf(context: CommandContext, { redis }: Settings): Promise<Storage | undefined> {
  if (!redis) return undefined;
  const { openSharedStorage } = await import('../node/shared-storage.js');
  const { openStorage = (await import('../storage/open-redis.js')).openRedis } = context;
  return openSharedStorage({
    setting: redis,
    open: () => openStorage(redis, { signal: context.signal }),
    warn: (text) => context.terminal.warning(text),
  });
}

function graceOf({ redis }: Settings): number {
  return redis ? SHARED_GRACE_MS : GRACE_MS;
}

export interface RunningDev {
  readonly node: LocalNode;
  readonly credentials: Credentials;
  /** Whether commands in this folder find the credentials. */
  readonly noted: boolean;
  /** Removes the generated credentials. */
  readonly forget: () => Promise<void>;
}

/**
 * Starts the orchestrator with the local stack, and leaves generated credentials for commands in this folder.
 *
 * @param options.split whether every service is a process of its own. Default false.
 */
export async function startDev(
  context: CommandContext,
  settings: Settings,
  { split = false }: { readonly split?: boolean } = {},
): Promise<RunningDev> {
  const { terminal } = context;
  const { devCredentials, leaveDevCredentials, startNode, madeUpTokens, serviceDefinitions } =
    await loadNode();
  const names = serviceDefinitions().map(({ name }) => name);
  const tokens = madeUpTokens(split ? names.filter((name) => !(name in settings.services)) : []);
  const credentials = devCredentials({ ...settings, serviceTokens: withTokens(settings, tokens) });
  const { agentsFile } = settings;
  if (agentsFile !== undefined) {
    await readJsonFile(terminal.cwd, agentsFile).catch((error: unknown) => {
      throw new ConfigurationError(`agentsFile: ${(error as Error).message}`, { cause: error });
    });
  }
  const logger = terminalLogger(terminal);
  const node = await startNode({
    settings,
    credentials,
    storage: await openStorageOf(context, settings),
    withLocalStack: !split,
    ...(split && { split: { tokens, say: (line) => terminal.talk(line) } }),
    logger,
  });
  if (!credentials.madeUp) return { node, credentials, noted: false, forget: async () => {} };
  try {
    const forget = await leaveDevCredentials(terminal.cwd, node.url, credentials.apiKey);
    return { node, credentials, noted: true, forget };
  } catch (error) {
    terminal.talk(`commands in this folder will not find this server: ${(error as Error).message}`);
    return { node, credentials, noted: false, forget: async () => {} };
  }
}

function withTokens({ serviceTokens }: Settings, tokens: Readonly<Record<string, string>>) {
  const both = { ...serviceTokens };
  for (const [name, token] of Object.entries(tokens)) both[name] = [...(both[name] ?? []), token];
  return both;
}

function sayHowToTalk({ terminal }: CommandContext, dev: RunningDev): void {
  const { node, credentials, noted } = dev;
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
    const found = noted ? ' (commands in this folder find it by themselves)' : '';
    terminal.talk(`generated API key, for this run only${found}:`);
    terminal.talk(`  export ORCHESTRATOR_API_KEY=${credentials.apiKey}`);
  }
  for (const line of nextSteps(dev)) terminal.talk(line);
}

/** Commands to type in another terminal. */
export function nextSteps({ node, noted }: RunningDev): string[] {
  const { url } = node;
  const target = noted || new URL(url).port === '8000' ? '' : ` --url ${url}`;
  return [
    `next, in another terminal${noted ? ', in this folder' : ''}:`,
    `  npx orchestrator-cli ingest${target} <a folder of your documents>`,
    `  npx orchestrator-cli chat${target} "<a question about them>"`,
    `  npx orchestrator-cli chat${target}          # a conversation`,
    `  npx orchestrator-cli tasks list${target}`,
    'Ctrl-C ends it.',
  ];
}

/** Serves until SIGINT or SIGTERM, then stops. */
export async function untilInterrupted(
  context: CommandContext,
  node: LocalNode,
  { forget, graceMs = GRACE_MS }: { readonly forget?: () => Promise<void>; readonly graceMs?: number } = {},
): Promise<void> {
  await fired(context.signal);
  context.terminal.talk('stopping …');
  await forget?.();
  await node.stop({ graceMs });
  context.terminal.talk('stopped');
}
