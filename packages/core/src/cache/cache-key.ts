import { hash } from 'node:crypto';
import { boundedJson } from '../protocol/bounded-json.js';
import { OrchestratorError } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';

/** What a cached value depends on. */
export interface CacheKeyParts {
  readonly tenantId: string;
  readonly kind: string;
  readonly collection?: string | undefined;
  /** Any JSON of at most 1 MiB. */
  readonly key: unknown;
}

/**
 * SHA-256 of what a value depends on. The order of an object's keys does not matter.
 *
 * @throws {OrchestratorError} `invalid_request` or `payload_too_large` for a key that is no JSON, or too large.
 */
export function cacheDigest({ tenantId, kind, collection, key }: CacheKeyParts): string {
  if (key === undefined) throw new OrchestratorError('invalid_request', 'key: expected JSON, got nothing');
  const json = boundedJson(key, { what: 'key', tooLarge: 'payload_too_large' });
  return hash('sha256', canonicalJson([tenantId, kind, collection ?? null, json]), 'hex');
}

/** JSON with the keys of each object in the order of their code units. */
export function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`).join(',')}}`;
}
