import { idSchema, validate } from '@agent-orchestrator/core/protocol';
import type { Backend } from '../client/backend.js';
import { HttpBackend } from '../client/http-backend.js';
import { ConfigurationError, UsageError } from '../errors/errors.js';
import { readSettings, type SettingFlags } from '../settings/settings.js';
import type { OperatorStorage } from '../storage/operator-storage.js';
import { STORAGE_SETTINGS } from '../storage/own-settings.js';
import { StorageBackend } from '../operators/storage-backend.js';
import { type CommandContext, connectionOf } from './command-context.js';

/** Flags of commands with direct access to the storage. */
export interface OperatorFlags extends SettingFlags {
  readonly tenant?: string;
}

/** Time limit of connecting for operators, ms; a starting server waits longer. */
const WAIT_MS = 5_000;

/** The orchestrator over HTTP; with `--storage`, a flag of its kind, or `--tenant` the storage itself. */
export async function openBackend(context: CommandContext, flags: OperatorFlags): Promise<Backend> {
  const given: Readonly<Record<string, unknown>> = { ...flags };
  const isDirect = [...STORAGE_SETTINGS, 'tenant'].some((name) => given[name] !== undefined);
  if (isDirect) return openStorageBackend(context, flags);
  return new HttpBackend((await connectionOf(context, flags)).api);
}

/** Tasks and sessions of one tenant in the storage itself. */
export async function openStorageBackend(
  context: CommandContext,
  flags: OperatorFlags,
): Promise<StorageBackend> {
  if (flags.tenant === undefined) {
    throw new UsageError('the storage has the tasks of all tenants: expected --tenant <id>, got nothing');
  }
  const tenantId = validTenant(flags.tenant, '--tenant');
  return new StorageBackend(await openOperatorStorage(context, flags), tenantId);
}

/** Opens the storage; the caller closes it. */
async function openOperatorStorage(context: CommandContext, flags: SettingFlags): Promise<OperatorStorage> {
  const { terminal, signal } = context;
  if (flags.url !== undefined) {
    throw new UsageError('--url names an orchestrator, which is not used here: expected --storage alone');
  }
  const { storage } = await readSettings(flags, terminal.env, terminal.cwd);
  const inspect = storage.inspect?.bind(storage);
  if (!inspect) {
    throw new ConfigurationError(
      `this looks straight into a storage that processes share: expected one in --storage <url>, ORCHESTRATOR_STORAGE or "storage" in the config file, got ${storage.label}`,
    );
  }
  const { openStorage = inspect } = context;
  return openStorage({ signal, waitMs: WAIT_MS });
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
