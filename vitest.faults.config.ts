import { defineConfig, mergeConfig } from 'vitest/config';
import usual, { FAULTS } from './vitest.config.js';

/** Faults that take minutes, one after the other: `npm run faults`, `npm run faults -- workers`. */
export default mergeConfig(
  { ...usual, test: { ...usual.test, include: [], exclude: [] } },
  defineConfig({
    test: {
      include: FAULTS,
      fileParallelism: false,
      testTimeout: 3_600_000,
      hookTimeout: 60_000,
    },
  }),
);
