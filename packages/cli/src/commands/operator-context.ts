import { idSchema, validate } from '@agent-orchestrator/core/protocol';
import type { Command } from 'commander';
import type { Backend } from '../client/backend.js';
import { HttpBackend } from '../client/http-backend.js';
import { ConfigurationError, UsageError } from '../exit-code.js';
import { readSettings, type SettingFlags } from '../settings/settings.js';
import type { OperatorStorage } from '../storage/operator-storage.js';
import { StorageBackend } from '../storage/storage-backend.js';
import { type CommandContext, connectionOf } from './command-context.js';

/** Flags of commands with direct access to the storage. */
export interface OperatorFlags extends SettingFlags {
  readonly tenant?: string;
}

/** Time limit of connecting for operators, ms; a starting server waits longer. */
const WAIT_MS = 5_000;
const REDIS_FLAG = 'straight from Redis, without a server (default: ORCHESTRATOR_REDIS_URL)';

export function withRedisFlag(command: Command, description = REDIS_FLAG): Command {
  return command.option('--redis <url>', description);
}

export function withTenantFlags(command: Command): Command {
  return withRedisFlag(command).option('--tenant <id>', 'tenant, for direct access to Redis');
}

/** The orchestrator over HTTP; with `--redis` or `--tenant` the storage itself. */
export async function openBackend(context: CommandContext, flags: OperatorFlags): Promise<Backend> {
  if (flags.redis !== undefined || flags.tenant !== undefined) return openStorageBackend(context, flags);
  return new HttpBackend((await connectionOf(context, flags)).api);
}

/** Tasks and sessions of one tenant in the storage itself. */
export async function openStorageBackend(
  context: CommandContext,
  flags: OperatorFlags,
): Promise<StorageBackend> {
  if (flags.tenant === undefined) {
    throw new UsageError('Redis has the tasks of all tenants: expected --tenant <id>, got nothing');
  }
  const tenantId = validTenant(flags.tenant, '--tenant');
  return new StorageBackend(await openOperatorStorage(context, flags), tenantId);
}

/** Opens the storage; the caller closes it. */
export async function openOperatorStorage(
  context: CommandContext,
  flags: SettingFlags,
): Promise<OperatorStorage> {
  const { terminal, signal } = context;
  if (flags.url !== undefined) {
    throw new UsageError('--url names an orchestrator, which is not used here: expected --redis alone');
  }
  const { redis } = await readSettings(flags, terminal.env, terminal.cwd);
  if (!redis) {
    throw new ConfigurationError(
      'this looks straight into Redis: expected --redis <url>, ORCHESTRATOR_REDIS_URL or "redis" in the config file, got nothing',
    );
  }
  const { openStorage = (await import('../storage/open-redis.js')).openRedis } = context;
  return openStorage(redis, { signal, waitMs: WAIT_MS });
}

/** Runs a function on the storage, and closes it. */
export async function withOperatorStorage<T>(
  context: CommandContext,
  flags: SettingFlags,
  work: (storage: OperatorStorage) => Promise<T>,
): Promise<T> {
  const storage = await openOperatorStorage(context, flags);
  try {
    return await work(storage);
  } finally {
    await storage.close();
  }
}

/** @throws {OrchestratorError} `invalid_request` for an invalid tenant id. */
export function validTenant(text: string, what = 'tenant'): string {
  return validate(idSchema, text, what);
}
