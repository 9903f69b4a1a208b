import { setTimeout as sleep } from 'node:timers/promises';
import { GlobalTaskRegistry, OrchestratorError, type Storage } from '@agent-orchestrator/core';
import { type OverviewReport, StorageAdmin, TenantAdmin } from '@agent-orchestrator/core/server';
import { UsageError } from '../errors/errors.js';
import type { OperatorPort } from './operator-port.js';

/** Operators' access for one command. */
export interface OperatorAccess extends AsyncDisposable {
  readonly admin: OperatorPort;
  /** Tenant that commands are about by default: that of the `dev` of this folder. */
  readonly tenant?: string | undefined;
}

const EVERY_MS = 2_000;

/** Straight from a storage: without services, which are those of a process. */
class StraightAdmin extends StorageAdmin implements OperatorPort {
  async services(): Promise<never> {
    throw new UsageError('the storage knows no services: expected --url of a server, got a storage');
  }

  async *overviews({ signal }: { readonly signal: AbortSignal }): AsyncGenerator<OverviewReport> {
    while (!signal.aborted) {
      yield await this.overview();
      await sleep(EVERY_MS, undefined, { signal });
    }
  }
}

/** Access straight to a storage, which is closed with it. */
export function straightTo(storage: Storage): OperatorAccess {
  const registry = new GlobalTaskRegistry({ storage });
  return {
    admin: new StraightAdmin({ storage, registry, tenants: new TenantAdmin({ storage }) }),
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
