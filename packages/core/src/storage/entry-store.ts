import { z } from 'zod';
import type { JsonValue } from '../protocol/json.js';
import { listSchema } from '../protocol/list.js';
import { OrchestratorError } from '../protocol/errors.js';
import { messageOf } from '../protocol/thrown.js';
import { validate } from '../protocol/validation.js';

/** A value of a service, by its key among those of the tenant. */
export interface StoredEntry {
  readonly tenantId: string;
  readonly key: string;
  readonly value: JsonValue;
}

/** A new value of a key. Without a value the key is removed. */
export interface EntryChange {
  /** 1 to 1,000 UTF-16 units. */
  readonly key: string;
  readonly value?: JsonValue;
}

/** Parameters of `entries` of an `EntryStore`. */
export interface ReadEntriesParams {
  /** Ends the reading. */
  readonly signal: AbortSignal;
}

/** Parameters of `put` of an `EntryStore`. */
export interface PutEntriesParams {
  readonly tenantId: string;
  /** At most 10,000, and 16 MiB as JSON. Of several with the same key the last one counts. */
  readonly changes: readonly EntryChange[];
}

/** Durable state of one service, by tenant and key. One process at a time changes it. */
export interface EntryStore {
  /** All entries, in any order. */
  entries(params: ReadEntriesParams): AsyncIterable<StoredEntry>;
  /**
   * Makes changes of a tenant, all or none. Resolves once they are durable.
   *
   * @throws {OrchestratorError} `storage_unavailable` when they are not, or it is not known; `invalid_request`,
   *   `payload_too_large`.
   */
  put(params: PutEntriesParams): Promise<void>;
  close(): Promise<void>;
}

/** A change as it is stored. */
export interface EntryText {
  readonly key: string;
  /** The value as JSON; `undefined` removes the key. */
  readonly text: string | undefined;
}

const MAX_CHANGES = 10_000;
const MAX_CHANGED_BYTES = 2 ** 24;
/** A lone surrogate would be stored as another character, and so as another key. */
const nameSchema = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((text) => text.isWellFormed(), 'expected well-formed Unicode');
const paramsSchema = z.object({
  tenantId: nameSchema(200),
  changes: listSchema(z.object({ key: nameSchema(1_000), value: z.unknown().optional() }), {
    max: MAX_CHANGES,
  }),
});

/**
 * What every store accepts, and as which text: one change for each key.
 *
 * @throws {OrchestratorError} `invalid_request` or `payload_too_large`.
 */
export function entryTexts(params: PutEntriesParams): EntryText[] {
  const { changes } = validate(paramsSchema, params, 'put', 'invalid_request', 'refused');
  const texts = new Map<string, EntryText>();
  let bytes = 0;
  for (const { key, value } of changes) {
    const text = value === undefined ? undefined : textOf(key, value);
    bytes += Buffer.byteLength(key) + Buffer.byteLength(text ?? '');
    if (bytes > MAX_CHANGED_BYTES) {
      const message = `put: expected changes of at most ${MAX_CHANGED_BYTES} bytes, got more`;
      throw new OrchestratorError('payload_too_large', message);
    }
    texts.delete(key);
    texts.set(key, { key, text });
  }
  return [...texts.values()];
}

function textOf(key: string, value: unknown): string {
  try {
    const text = JSON.stringify(value) as string | undefined;
    if (text !== undefined) return text;
  } catch (error) {
    // Such as for a cycle, or from a `toJSON`.
    throw noJson(key, messageOf(error), error);
  }
  throw noJson(key, typeof value);
}

function noJson(key: string, got: string, cause?: unknown): OrchestratorError {
  const message = `put: value of ${JSON.stringify(key)}: expected JSON, got ${got}`;
  return new OrchestratorError('invalid_request', message, { cause });
}
