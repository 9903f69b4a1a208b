import { defineConfig, mergeConfig } from 'vitest/config';
import usual, { FAULTS, PROOFS } from './vitest.config.js';

/** The long proofs: `npm run prove`, `npm run prove -- chaos`. */
export default mergeConfig(
  { ...usual, test: { ...usual.test, include: [], exclude: [] } },
  defineConfig({ test: { include: PROOFS, exclude: ['**/node_modules/**', ...FAULTS] } }),
);
