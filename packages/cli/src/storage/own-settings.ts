import { redisSettings } from './redis/redis-settings.js';

/** Settings of one kind of storage alone. They mean `storage`, and refuse addresses of other kinds. */
export interface OwnSettings {
  /** Name of the setting in the config file, and of the flag. */
  readonly name: string;
  /** Name of the kind in help. */
  readonly title: string;
  /** Environment variable. */
  readonly variable: string;
  /** Form of the address, which may be an object in the config file. */
  readonly form: string;
  readonly password: { readonly name: string; readonly variable: string };
}

/** Of every kind that has some. Apart from the kinds: flags and help need no more. */
export const OWN_SETTINGS = [redisSettings] as const satisfies readonly OwnSettings[];

/** Flags of single kinds. */
export type OwnFlags = { readonly [Name in (typeof OWN_SETTINGS)[number]['name']]?: string };

/** Settings that name a storage: `storage`, and those of single kinds. */
export const STORAGE_SETTINGS: readonly string[] = ['storage', ...OWN_SETTINGS.map(({ name }) => name)];
