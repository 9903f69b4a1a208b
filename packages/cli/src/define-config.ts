import type { z } from 'zod';
import type { settingsSchema } from './settings/settings-schema.js';
import type { OwnStorageConfig } from './storage/storage-kinds.js';

/** Settings of a config file, with the defaults of `docs/cli.md`. */
export type OrchestratorConfig = Omit<z.input<typeof settingsSchema>, 'storage'> &
  OwnStorageConfig & {
    /** URL of the storage. Default: in memory. */
    readonly storage?: string;
  };

/**
 * Types the default export of `orchestrator.config.mjs` or `.ts`. Returns `config` itself: it is validated when a command
 * reads it.
 *
 * @example
 * import { defineConfig } from '@agent-orchestrator/cli';
 *
 * export default defineConfig({
 *   services: { query: { url: 'http://127.0.0.1:8101', token: process.env.QUERY_TOKEN } },
 *   workflows: { hello: async (ctx, input) => ({ said: `hello ${input.name}` }) },
 * });
 */
export function defineConfig(config: OrchestratorConfig): OrchestratorConfig {
  return config;
}
