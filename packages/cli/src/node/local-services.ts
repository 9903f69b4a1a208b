import { type Logger, type Orchestrator, OrchestratorError } from '@agent-orchestrator/core';
import { messageOf } from '@agent-orchestrator/core/protocol';
import {
  addLocalStack,
  type OpenStore,
  readServiceStorage,
  restoreServices,
  serviceDefinitions,
} from '@agent-orchestrator/local-stack';
import { ConfigurationError } from '../errors/errors.js';
import type { Settings } from '../settings/settings.js';
import type { StorageAddress } from '../storage/storage-kind.js';

/** The local stack, in this process or in others. */
export interface RunningStack {
  stop(): Promise<void>;
}

interface LocalServicesOptions {
  readonly settings: Settings;
  /** Folder that paths are relative to. */
  readonly cwd: string;
  readonly logger: Logger;
  /** Ends the wait for the stores. */
  readonly signal?: AbortSignal;
}

/** Adds the local stack to an orchestrator, with the state that its services had before. */
export async function startLocalServices(
  orchestrator: Orchestrator,
  { settings: { llm, agentsFile, storage }, cwd, logger, signal }: LocalServicesOptions,
): Promise<RunningStack> {
  const definitions = serviceDefinitions({
    ...(llm && { llm: { url: llm.url, model: llm.model, ...(llm.key !== undefined && { key: llm.key }) } }),
    ...(agentsFile !== undefined && { agentsFile }),
  });
  const open = storesBeside(storage, cwd);
  const stores = open && (await restoreServices(definitions, open, signal && { signal }).catch(refused));
  const stack = addLocalStack(orchestrator, {
    definitions,
    host: {
      report: (error, where) => logger.error(`local stack: ${where} failed`, { error: messageOf(error) }),
    },
  });
  const stop = async () => {
    await stack.stop();
    await stores?.close();
  };
  return { stop };
}

/** Stores of services beside a storage; `undefined` in memory. */
function storesBeside(storage: StorageAddress, cwd: string): OpenStore | undefined {
  const storeOf = (service: string) => readServiceStorage(storage.serviceStorage(service, cwd));
  if (storeOf('any') === undefined) return undefined;
  return (service, options) => {
    const open = storeOf(service);
    if (!open) throw new OrchestratorError('internal_error', `${service}: expected a store, got none`);
    return open(service, options);
  };
}

/** Only waiting helps where the storage is away; otherwise a different setting does. */
function refused(error: unknown): never {
  if (!(error instanceof OrchestratorError) || error.code === 'storage_unavailable') throw error;
  throw new ConfigurationError(error.message, { cause: error });
}
