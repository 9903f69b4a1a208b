import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EntryFolder, OrchestratorError } from '@agent-orchestrator/core';
import { folderOfUrl } from '@agent-orchestrator/core/server';
import type { RedisTarget } from '@agent-orchestrator/redis-adapter';
import type { OpenStore } from '../service-stores.js';

const FORMS =
  'file:<folder>, memory:, or redis://[user:password@]host[:port][/database], with several hosts for a Cluster, ' +
  'or redis+sentinel://host[:port][,…]/<name of the master>';
/** Scheme, user and password up to the last "@", hosts, rest after the first slash. */
const REDIS_URL = /^(rediss?|redis\+sentinel):\/\/(?:([^:]*):(.*)@)?([^/@?#]+)(?:\/([^/?#@]*))?$/s;

/**
 * Reads where a service keeps its state: `file:<folder>`, which it has to itself, relative to the current folder unless it is
 * absolute; `memory:`, which ends with the process; or a Redis, where the name of the service is part of its keys.
 *
 * @param what name of the setting, for messages.
 * @returns `undefined` for `memory:`.
 * @throws {OrchestratorError} `invalid_request` for anything else.
 */
export function readServiceStorage(url: string, what = 'storage'): OpenStore | undefined {
  if (url === 'memory:') return undefined;
  const target = redisTargetOf(url);
  if (target !== undefined) {
    return async (service) => {
      // Loaded when it is needed: other services start sooner without it.
      const { RedisEntryStore } = await import('@agent-orchestrator/redis-adapter');
      return RedisEntryStore.connect(target, { service });
    };
  }
  const folder = folderOfUrl(url);
  // Without the value: it may have a password.
  if (folder === undefined)
    throw new OrchestratorError('invalid_request', `${what}: expected ${FORMS}, got something else`);
  return () => openEntryFolder(resolve(folder));
}

async function openEntryFolder(folder: string): Promise<EntryFolder> {
  try {
    return await EntryFolder.open(folder);
  } catch (error) {
    if (!(error instanceof OrchestratorError) || error.code !== 'internal_error') throw error;
    const message = `${error.message} (orchestrator-cli storage check ${folder})`;
    throw new OrchestratorError('internal_error', message, { cause: error });
  }
}

/** A process whose parent was killed still ends its jobs, and needs no longer for it, ms. */
const FREE_WITHIN_MS = 5_000;
const PAUSE_MS = 100;

/** Waits for the process before this one, which may still be ending. */
export function onceFree(open: OpenStore): OpenStore {
  return async (service, options) => {
    const deadline = performance.now() + FREE_WITHIN_MS;
    for (;;) {
      try {
        return await open(service, options);
      } catch (error) {
        const isHeld = error instanceof OrchestratorError && error.code === 'conflict';
        if (!isHeld || performance.now() >= deadline) throw error;
      }
      await delay(PAUSE_MS, undefined, options);
    }
  };
}

function redisTargetOf(url: string): RedisTarget | undefined {
  const [, scheme, user = '', password = '', hosts = '', path = ''] = REDIS_URL.exec(url) ?? [];
  if (scheme === undefined) return undefined;
  const addresses = hosts.split(',');
  const credentials = {
    ...(user !== '' && { username: decoded(user) }),
    ...(password !== '' && { password: decoded(password) }),
  };
  if (scheme === 'redis+sentinel') return { sentinels: addresses, name: path, ...credentials };
  return addresses.length > 1 ? { nodes: addresses, ...credentials } : url;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    const message = 'Redis: expected user and password in percent-encoded UTF-8, got something else';
    throw new OrchestratorError('invalid_request', message);
  }
}
