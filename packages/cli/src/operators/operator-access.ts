import { GlobalTaskRegistry, OrchestratorError, type Storage } from '@agent-orchestrator/core';
import { StorageAdmin, TenantAdmin } from '@agent-orchestrator/core/server';
import type { OperatorPort } from './operator-port.js';

/** Operators' access for one command. */
export interface OperatorAccess extends AsyncDisposable {
  readonly admin: OperatorPort;
  /** Tenant that commands are about by default: that of the `dev` of this folder. */
  readonly tenant?: string | undefined;
}

/** Access straight to a storage, which is closed with it. */
export function straightTo(storage: Storage): OperatorAccess {
  const registry = new GlobalTaskRegistry({ storage });
  return {
    admin: new StorageAdmin({ storage, registry, tenants: new TenantAdmin({ storage }) }),
    async [Symbol.asyncDispose]() {
      registry.close();
      await closeStorage(storage);
    },
  };
}

/** Closes a storage that has already answered every request. */
export async function closeStorage(storage: Storage): Promise<void> {
  await storage.close().catch((error: unknown) => {
    if (!(error instanceof OrchestratorError)) throw error;
  });
}
