import { OrchestratorError } from '@agent-orchestrator/core';
import type { Cluster, Redis } from 'ioredis';

/**
 * Version of the keys: of their names, and of what is in them. It is raised with each change after which an older or
 * a newer version of the adapter would misread them.
 */
const LAYOUT = 1;

/**
 * Compares the layout of the keys with that of this version; the first connection to an empty server stores it.
 * @param selected resolves once the database is selected: nothing is written before.
 * @returns whether the layout is stored. A server that takes no writes has none to misread.
 * @throws {OrchestratorError} `invalid_request` for another layout, with both numbers.
 */
export async function checkLayout(
  client: Redis | Cluster,
  key: string,
  selected: Promise<unknown> | undefined,
): Promise<boolean> {
  // Read first: a replica, or a server without memory or disk, still answers reads.
  const [, known] = await Promise.all([selected, client.get(key)]);
  const layout = known ?? (await store(client, key));
  if (layout === String(LAYOUT) || layout === undefined) return layout !== undefined;
  throw new OrchestratorError(
    'invalid_request',
    `Redis: expected keys in layout ${LAYOUT}, which this version uses, got layout ${layout}: see "Upgrading" in docs/operating-redis.md`,
  );
}

/** The stored layout, which another process may have stored meanwhile; nothing when the server refuses writes. */
async function store(client: Redis | Cluster, key: string): Promise<string | undefined> {
  try {
    return (await client.set(key, LAYOUT, 'NX', 'GET')) ?? String(LAYOUT);
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError') return undefined;
    throw error;
  }
}
