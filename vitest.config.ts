import { defineConfig } from 'vitest/config';

const source = (path: string) => new URL(path, import.meta.url).pathname;

const TESTS = '{packages/*/test,examples/*/test,test,test-servers/test}/**/*.test.ts';
/** What takes long: by its name, or in one of these folders. `npm run prove`. */
export const PROOFS = ['**/*.proof.test.ts', '**/test/{chaos,faults,redis-faults}/**/*.test.ts'];
/** What takes minutes. `npm run faults`. */
export const FAULTS = ['test/redis-faults/long/**/*.test.ts', 'packages/*/test/mutants/**/*.test.ts'];

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
        find: /^@agent-orchestrator\/core\/(conformance|notifier|protocol|storage|testing)$/,
        replacement: source('packages/core/src/$1/index.ts'),
      },
      { find: /^@agent-orchestrator\/core\/server$/, replacement: source('packages/core/src/server.ts') },
      { find: /^@agent-orchestrator\/([a-z-]+)$/, replacement: source('packages/$1/src/index.ts') },
    ],
  },
  test: {
    include: [TESTS],
    exclude: ['**/node_modules/**', ...FAULTS, ...PROOFS],
    // Many tests wait for a process or a socket: each core has a worker.
    maxWorkers: '100%',
    // What reaches these limits hangs; a test never waits for one of them.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
