import { OrchestratorError } from '@agent-orchestrator/core';
import { messageOf } from '@agent-orchestrator/core/protocol';
import type { EntryStore } from '@agent-orchestrator/core/storage';
import type { ServiceDefinition } from './service-definition.js';

/** Opens the store of a service, by its name. */
export type OpenStore = (service: string, options: { readonly signal: AbortSignal }) => Promise<EntryStore>;

/** Stores of services, open. */
export interface ServiceStores extends AsyncDisposable {
  /** Close them once the services have stopped. */
  close(): Promise<void>;
}

/**
 * Restores the state of services, each from a store of its own, and keeps it there from then on. Call it before they run.
 * Services without state open none.
 *
 * @throws {OrchestratorError} of the first store that cannot be opened or restored; the others are closed.
 */
export async function restoreServices(
  definitions: readonly ServiceDefinition[],
  open: OpenStore,
  { signal = new AbortController().signal }: { readonly signal?: AbortSignal } = {},
): Promise<ServiceStores> {
  const stores: EntryStore[] = [];
  const close = async () => {
    await Promise.all(stores.map((store) => store.close()));
  };
  try {
    for (const { name, state } of definitions) {
      if (!state) continue;
      try {
        const store = await open(name, { signal });
        stores.push(store);
        await state.restore(store, { signal });
      } catch (error) {
        throw error instanceof OrchestratorError ? ofService(name, error) : error;
      }
    }
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
  return { close, [Symbol.asyncDispose]: close };
}

function ofService(name: string, cause: OrchestratorError): OrchestratorError {
  return new OrchestratorError(cause.code, `state of the service "${name}": ${messageOf(cause)}`, { cause });
}
