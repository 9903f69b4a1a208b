import { OrchestratorError } from '@agent-orchestrator/core';
import type { Cluster, Redis } from 'ioredis';

/** Where Redis is: a URL (`redis://` or `rediss://`), the nodes of a Cluster, or the sentinels of a master. */
export type RedisTarget =
  | string
  | { readonly nodes: readonly string[] }
  | { readonly sentinels: readonly string[]; readonly name: string };

export interface RedisStorageOptions {
  readonly commandTimeoutMs?: number;
}

export class RedisStorage {
  static connect(_target: RedisTarget, _options: RedisStorageOptions = {}): RedisStorage {
    throw new OrchestratorError('storage_unavailable', 'not there yet');
  }

  static using(_client: Redis | Cluster, _options: RedisStorageOptions = {}): RedisStorage {
    throw new OrchestratorError('storage_unavailable', 'not there yet');
  }
}
