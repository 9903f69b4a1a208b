import type { Storage } from '@agent-orchestrator/core';
import { serviceDefinitions } from '@agent-orchestrator/local-stack';
import { ConfigurationError } from '../errors/errors.js';
import { fired } from '../terminal/interrupt.js';
import {
  configuredCredentials,
  type Credentials,
  devCredentials,
  leaveDevCredentials,
} from '../node/credentials.js';
import { type LocalNode, startNode } from '../node/local-node.js';
import { madeUpTokens } from '../node/split-stack.js';
import { createLogger } from '../node/logger.js';
import { readJsonFile } from '../documents/json-file.js';
import type { SettingFlags, Settings } from '../settings/settings.js';
import { isShared, type StorageAddress } from '../storage/storage-kind.js';
import { version } from '../settings/version.js';
import { type CommandContext, serverSettings } from './command-context.js';

/** Grace period without a shared storage, ms: no other process goes on with the tasks. */
const GRACE_MS = 2_000;
/** Grace period with a shared storage, ms: unfinished tasks are released to other processes. */
const SHARED_GRACE_MS = 10_000;

export interface DevFlags extends SettingFlags {
  readonly split?: boolean;
}

export async function dev(context: CommandContext, flags: DevFlags): Promise<void> {
  const settings = await serverSettings(context, flags);
  const running = await startDev(context, settings, { split: flags.split === true });
  sayHowToTalk(context, running, settings);
  await untilInterrupted(context, running.node, { forget: running.forget, graceMs: graceOf(settings) });
}

export async function serve(context: CommandContext, flags: SettingFlags): Promise<void> {
  const { terminal } = context;
  const settings = await serverSettings(context, flags);
  const { role, storage: address } = settings;
  if (role !== 'all' && !isShared(address)) throw new ConfigurationError(lonely(role, address));
  // A worker has no clients.
  const credentials = role === 'worker' ? undefined : configuredCredentials(settings);
  const format = settings.log.format ?? (terminal.stderr.isTTY === true ? 'text' : 'json');
  const logger = createLogger(terminal, { level: settings.log.level ?? 'info', format });
  // What people are told is in the log for programs.
  const say = format === 'text' ? (line: string) => terminal.talk(line) : () => {};
  const warn = (text: string) => (format === 'text' ? terminal.warning(text) : logger.warn(text));
  const storage = await openStorage(context, address, warn);
  const node = await startNode({
    settings,
    role,
    storage,
    cwd: terminal.cwd,
    withLocalStack: false,
    logger,
    ...(credentials && { credentials }),
  });
  const { services, workflows } = settings;
  const names = (of: object) => Object.keys(of).join(', ') || 'none configured';
  say(`${role === 'all' ? 'orchestrator' : role} listens at ${node.url}`);
  say(`storage: ${address.label}`);
  say(`services: ${names(services)}`);
  say(`workflows: ${names(workflows)}`);
  if (format === 'json')
    logger.info('started', {
      url: node.url,
      role,
      version,
      storage: address.label,
      services: Object.keys(services),
      workflows: Object.keys(workflows),
    });
  if (terminal.json)
    terminal.record({ url: node.url, storage: address.label, ...(isShared(address) && { role }) });
  await untilInterrupted(context, node, { graceMs: graceOf(settings), say });
}

function lonely(role: string, { label }: StorageAddress): string {
  const why = role === 'worker' ? 'would never get work' : 'has no worker for its tasks';
  return `role "${role}" without a storage that others share ${why}: expected one in --storage <url> or ORCHESTRATOR_STORAGE, got ${label}`;
}

function openStorage(
  { signal, terminal }: CommandContext,
  address: StorageAddress,
  warn = (text: string) => terminal.warning(text),
): Promise<Storage> {
  return address.open({ signal, cwd: terminal.cwd, warn });
}

function graceOf({ storage }: Settings): number {
  return isShared(storage) ? SHARED_GRACE_MS : GRACE_MS;
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
  const names = serviceDefinitions().map(({ name }) => name);
  const tokens = madeUpTokens(split ? names.filter((name) => !(name in settings.services)) : []);
  const withAllTokens = { ...settings, serviceTokens: withTokens(settings, tokens) };
  const credentials = await devCredentials(withAllTokens, terminal.cwd);
  const { agentsFile } = settings;
  if (agentsFile !== undefined) {
    await readJsonFile(terminal.cwd, agentsFile).catch((error: unknown) => {
      throw new ConfigurationError(`agentsFile: ${(error as Error).message}`, { cause: error });
    });
  }
  const { level = 'warn', format = 'text' } = settings.log;
  const logger = createLogger(terminal, { level, format });
  const node = await startNode({
    settings,
    credentials,
    storage: await openStorage(context, settings.storage),
    withLocalStack: !split,
    cwd: terminal.cwd,
    signal: context.signal,
    ...(split && { split: { tokens, say: (line) => terminal.talk(line) } }),
    logger,
  });
  if (!credentials.madeUp) return { node, credentials, noted: false, forget: async () => {} };
  try {
    const forget = await leaveDevCredentials(terminal.cwd, node.url, credentials);
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

function sayHowToTalk({ terminal }: CommandContext, dev: RunningDev, { storage }: Settings): void {
  const { node, credentials, noted } = dev;
  if (terminal.json) {
    terminal.record({
      url: node.url,
      tenant: credentials.tenant,
      storage: storage.label,
      ...(credentials.madeUp && { api_key: credentials.apiKey }),
      ...(credentials.operatorToken !== undefined && { operator_token: credentials.operatorToken }),
    });
    return;
  }
  terminal.talk(`orchestrator listens at ${node.url}, tenant "${credentials.tenant}"`);
  terminal.talk(`storage: ${storage.label}`);
  if (credentials.madeUp) {
    const found = noted ? ' (commands in this folder find them by themselves)' : '';
    terminal.talk(`generated credentials, until this server is stopped${found}:`);
    terminal.talk(`  export ORCHESTRATOR_API_KEY=${credentials.apiKey}`);
    if (credentials.operatorToken !== undefined)
      terminal.talk(`  export ORCHESTRATOR_OPERATOR_TOKEN=${credentials.operatorToken}`);
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
  {
    forget,
    graceMs = GRACE_MS,
    say = (line) => context.terminal.talk(line),
  }: {
    readonly forget?: () => Promise<void>;
    readonly graceMs?: number;
    /** Tells people what goes on. */
    readonly say?: (line: string) => void;
  } = {},
): Promise<void> {
  await fired(context.signal);
  say('stopping …');
  await forget?.();
  await node.stop({ graceMs });
  say('stopped');
}
