import { OrchestratorError } from '@agent-orchestrator/core';
import { UsageError } from '../errors/errors.js';

/** Shorter ones would be ambiguous, and each would be searched for. */
export const MIN_PREFIX = 4;
/** A page scans at most a thousand tasks. */
const MAX_PAGES = 10;
const MAX_CANDIDATES = 5;

/** Ids of a page of the newest first. */
interface IdPage {
  readonly ids: readonly string[];
  readonly next?: string | undefined;
}

/**
 * The one id that begins with `prefix`, among those of at most ten pages.
 *
 * @param read a page of ids that begin with it.
 * @param searched what is searched, for people.
 * @throws {UsageError} with the candidates, if there are several. @throws {OrchestratorError} `not_found`
 */
export async function idOfPrefix(
  prefix: string,
  searched: string,
  read: (cursor: string | undefined) => Promise<IdPage>,
): Promise<string> {
  const found = new Set<string>();
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES && found.size <= MAX_CANDIDATES; page += 1) {
    const { ids, next } = await read(cursor);
    for (const id of ids) found.add(id);
    cursor = next;
    if (cursor === undefined) break;
  }
  const [first, ...others] = found;
  if (first === undefined)
    throw new OrchestratorError('not_found', `none of ${searched} has an id that begins with "${prefix}"`);
  if (others.length === 0) return first;
  const shown = [...found].slice(0, MAX_CANDIDATES).join(', ');
  const more = found.size > MAX_CANDIDATES ? ' and more' : '';
  throw new UsageError(`"${prefix}" is the beginning of several ids, ${shown}${more}: expected more of it`);
}

const TASK_PREFIX = /^[0-9a-f][0-9a-f-]{3,34}$/;

/** A task id as it is, also an invalid one; of a beginning of it the whole. */
export async function wholeTaskId(
  text: string,
  list: (idPrefix: string, cursor: string | undefined) => Promise<IdPage>,
): Promise<string> {
  if (!TASK_PREFIX.test(text)) return text;
  return idOfPrefix(text, 'the newest 10,000 tasks', (cursor) => list(text, cursor));
}
