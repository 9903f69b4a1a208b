import type { Storage } from '@agent-orchestrator/core';
import type { TaskOfTenant } from '@agent-orchestrator/core/server';
import { idSchema, uuidSchema, validate } from '@agent-orchestrator/core/protocol';
import type { Backend } from '../client/backend.js';
import { connectOperator } from '../client/connection.js';
import { wholeTaskId } from '../client/id-prefix.js';
import { HttpBackend } from '../client/http-backend.js';
import { ConfigurationError, UsageError } from '../errors/errors.js';
import { HttpAdmin } from '../operators/http-admin.js';
import { type OperatorAccess, straightTo } from '../operators/operator-access.js';
import { StorageBackend } from '../operators/storage-backend.js';
import { readSettings, type SettingFlags, type Settings } from '../settings/settings.js';
import { isShared } from '../storage/storage-kind.js';
import { type CommandContext, connectionOf, namesStorage } from './command-context.js';

/** Flags of commands about one tenant. */
export interface OperatorFlags extends SettingFlags {
  readonly tenant?: string;
}

/** Time limit of connecting for operators, ms; a starting server waits longer. */
const WAIT_MS = 5_000;

/** The orchestrator over HTTP; with `--storage`, a flag of its kind, or `--tenant` the storage itself. */
export async function openBackend(context: CommandContext, flags: OperatorFlags): Promise<Backend> {
  if (flags.tenant === undefined && !namesStorage(flags))
    return new HttpBackend((await connectionOf(context, flags)).api);
  if (flags.url !== undefined) throw twoPlaces();
  const tenantId = tenantOf(flags.tenant);
  const settings = await readSettings(flags, context.terminal.env, context.terminal.cwd);
  return new StorageBackend(await openShared(context, settings), tenantId);
}

/**
 * Operators' access, chosen once: straight to the storage of a flag, or without `--url` to that of environment or config file if
 * processes share it; else through the server at `--url`, else through that of the `dev` of this folder.
 */
export async function openAccess(context: CommandContext, flags: SettingFlags): Promise<OperatorAccess> {
  const { env, cwd } = context.terminal;
  const isNamed = namesStorage(flags);
  if (isNamed && flags.url !== undefined) throw twoPlaces();
  const settings = await readSettings(flags, env, cwd);
  const isStraight = isNamed || (flags.url === undefined && isShared(settings.storage));
  if (isStraight) return straightTo(await openShared(context, settings));
  const { api, tenant } = await connectOperator(settings, cwd);
  return { admin: new HttpAdmin(api), tenant, async [Symbol.asyncDispose]() {} };
}

function twoPlaces(): UsageError {
  return new UsageError(
    '--url names an orchestrator, and the other flags look straight into a storage: expected one of both',
  );
}

/** Opens a storage that processes share; the caller closes it. */
function openShared({ signal, openStorage }: CommandContext, { storage }: Settings): Promise<Storage> {
  const inspect = storage.inspect?.bind(storage);
  if (!inspect) {
    throw new ConfigurationError(
      `this looks straight into a storage that processes share: expected one in --storage <url>, ORCHESTRATOR_STORAGE or "storage" in the config file, got ${storage.label}, which one process has to itself: without --storage (and for tasks and sessions without --tenant) its server is asked`,
    );
  }
  return (openStorage ?? inspect)({ signal, waitMs: WAIT_MS });
}

/** The tenant of `--tenant`, else `usual`. @throws {UsageError} without any. */
export function tenantOf(flag: string | undefined, usual?: string): string {
  const tenant = flag ?? usual;
  if (tenant === undefined) {
    throw new UsageError('the storage has the tasks of all tenants: expected --tenant <id>, got nothing');
  }
  return validTenant(tenant, '--tenant');
}

/** A task of the tenant of `--tenant`, by its id or the beginning of it. */
export async function namedTask(
  { admin, tenant }: OperatorAccess,
  flags: OperatorFlags,
  text: string,
): Promise<TaskOfTenant> {
  const tenantId = tenantOf(flags.tenant, tenant);
  const taskId = await wholeTaskId(text, async (idPrefix, cursor) => {
    const { items, next } = await admin.tasks({ tenantId, idPrefix, cursor });
    return { ids: items.map(({ task_id }) => task_id), next };
  });
  return { tenantId, taskId: validate(uuidSchema, taskId, 'task-id') };
}

/** @throws {OrchestratorError} `invalid_request` for an invalid tenant id. */
export function validTenant(text: string, what = 'tenant'): string {
  return validate(idSchema, text, what);
}
