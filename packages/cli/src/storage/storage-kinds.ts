import { z } from 'zod';
import { fileKind } from './file-kind.js';
import { memoryKind } from './memory-kind.js';
import type { RedisStorageConfig } from './redis/redis-address.js';
import { redisKind } from './redis/redis-kind.js';
import type { StorageAddress, StorageKind } from './storage-kind.js';

/** Every storage that the command line knows. A further one is one entry. */
const STORAGE_KINDS: readonly StorageKind[] = [fileKind, memoryKind, redisKind];

/** Settings of single kinds in a config file. */
export type OwnStorageConfig = RedisStorageConfig;

/** Schema of the setting `storage`: the URL of a storage. */
export const storageSchema = z.unknown().transform((value, context): StorageAddress => {
  const text = typeof value === 'string' ? value : '';
  const scheme = /^([a-z][a-z+]*):/i.exec(text)?.[1]?.toLowerCase();
  const kind = STORAGE_KINDS.find(({ schemes }) => scheme !== undefined && schemes.includes(scheme));
  const forms = (kind ? [kind] : STORAGE_KINDS).map(({ form }) => form);
  return kind?.read(text) ?? refuse(context, `expected ${forms.join(', or ')}${guess(text)}`);
});

/** What a value without a scheme was probably meant to be. */
function guess(text: string): string {
  if (!/^[\w./~-]{1,200}$/.test(text)) return '';
  const meant = text === 'memory' ? 'memory:' : `file:${text}`;
  return ` (such as ${meant})`;
}

/** Schemas of the settings of single kinds, by name. */
export function ownSchemas(): Record<string, z.ZodType<StorageAddress | string | undefined>> {
  const schemas: Record<string, z.ZodType<StorageAddress | string | undefined>> = {};
  for (const kind of STORAGE_KINDS) {
    const { own } = kind;
    if (!own) continue;
    schemas[own.name] = z
      .unknown()
      .transform((value, context) => kind.read(value) ?? refuse(context, `expected ${own.form}`))
      .optional();
    schemas[own.password.name] = z.string().min(1).optional();
  }
  return schemas;
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}

/** The address with the password of its kind. */
export function withPassword(
  address: StorageAddress,
  passwords: Readonly<Record<string, unknown>>,
): StorageAddress {
  let found = address;
  for (const kind of STORAGE_KINDS) {
    const password = kind.own && passwords[kind.own.password.name];
    if (typeof password === 'string') found = kind.withPassword?.(found, password) ?? found;
  }
  return found;
}
