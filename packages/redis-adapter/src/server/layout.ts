import { OrchestratorError } from '@agent-orchestrator/core';
import type { Cluster, Redis } from 'ioredis';

/**
 * Version of the keys: of their names, and of what is in them. It is raised with each change after which an older or
 * a newer version of the adapter would misread them.
 */
const LAYOUT = 1;

/** What follows the version while an import has not come to its end, and afterwards not any more. */
const UNFINISHED = / importing \S+ \S+$/;

/** The value of the key while an import of a source has not come to its end. Versions without imports refuse it too. */
export function unfinishedLayout(sourceId: string, importId: string): string {
  return `${LAYOUT} importing ${sourceId} ${importId}`;
}

/** The import that the value of the key is about, if any. */
export function unfinishedImport(
  layout: string | null,
): { readonly sourceId: string; readonly importId: string } | undefined {
  const [, , sourceId, importId] = layout !== null && UNFINISHED.test(layout) ? layout.split(' ') : [];
  return sourceId === undefined || importId === undefined ? undefined : { sourceId, importId };
}

/** The value of the key of whole keys. */
export const WHOLE_LAYOUT = String(LAYOUT);

/**
 * Compares the layout of the keys with that of this version; the first connection to an empty server stores it.
 * @param selected resolves once the database is selected: nothing is written before.
 * @param during whether keys whose import has not come to its end are taken.
 * @returns whether the layout is stored. A server that takes no writes has none to misread.
 * @throws {OrchestratorError} `invalid_request` for another layout, with both numbers.
 */
export async function checkLayout(
  client: Redis | Cluster,
  key: string,
  selected: Promise<unknown> | undefined,
  during?: 'import',
): Promise<boolean> {
  // Read first: a replica, or a server without memory or disk, still answers reads.
  const [, known] = await Promise.all([selected, client.get(key)]);
  const layout = known ?? (await store(client, key));
  if (layout === WHOLE_LAYOUT || layout === undefined) return layout !== undefined;
  const version = layout.replace(UNFINISHED, '');
  if (version === WHOLE_LAYOUT && during === 'import') return true;
  if (version === WHOLE_LAYOUT)
    throw new OrchestratorError(
      'invalid_request',
      'Redis: expected a whole storage, got one whose import has not come to its end: repeat "orchestrator-cli storage import" with the same file',
    );
  throw new OrchestratorError(
    'invalid_request',
    `Redis: expected keys in layout ${LAYOUT}, which this version uses, got layout ${version}: see "Upgrading" in docs/operating-redis.md`,
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
