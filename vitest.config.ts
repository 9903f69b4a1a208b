import { defineConfig } from 'vitest/config';

const source = (path: string) => new URL(path, import.meta.url).pathname;

/** Tests run on the sources, so that a failure points at the line that was written. */
export default defineConfig({
  resolve: {
    alias: [
      {
        find: /^@agent-orchestrator\/local-stack$/,
        replacement: source('examples/local-stack/src/index.ts'),
      },
      {
        find: /^@agent-orchestrator\/test-servers$/,
        replacement: source('test-servers/src/index.ts'),
      },
      {
        find: /^@agent-orchestrator\/core\/notifier$/,
        replacement: source('packages/core/src/notifier/index.ts'),
      },
      { find: /^@agent-orchestrator\/([a-z-]+)$/, replacement: source('packages/$1/src/index.ts') },
    ],
  },
  test: {
    include: [
      'packages/*/test/**/*.test.ts',
      'examples/*/test/**/*.test.ts',
      'test/**/*.test.ts',
      'test-servers/test/**/*.test.ts',
    ],
    // Those take minutes: `npm run faults`.
    exclude: ['**/node_modules/**', 'test/redis-faults/long/**', '**/test/mutants/**'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
