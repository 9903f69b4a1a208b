import { OrchestratorError } from '@agent-orchestrator/core';
import type { BulkReport } from '@agent-orchestrator/core/server';
import { expect, it } from 'vitest';
import { onAll } from '../src/commands/bulk.js';
import { fakeTerminal } from './fake-terminal.js';

const full = { code: 'queue_full', message: 'the queue is full' } as const;

/** An action with these reports, then an error. */
async function acted(reports: readonly BulkReport[]) {
  const { terminal, stdout } = fakeTerminal({ cwd: '/', env: {} });
  const left = [...reports];
  const ended = onAll(
    { terminal, signal: new AbortController().signal, exit: () => {} },
    {
      flags: {},
      act: async () => {
        const report = left.shift();
        if (report) return report;
        throw new OrchestratorError(full.code, full.message);
      },
      wouldText: 'would run again',
      doneText: 'run again',
    },
  );
  const error: unknown = await ended.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { stdout: stdout(), error };
}

it.each<[string, readonly BulkReport[], string]>([
  ['reported', [{ matched: 5, done: 3, stopped: full }], '3 of 5 run again\n'],
  ['thrown after a portion', [{ matched: 5, done: 3, next: '7' }], '3 of 5 run again\n'],
  ['thrown at once', [], ''],
])('the number of what was done is printed before a full queue that is %s', async (_, reports, stdout) => {
  expect(await acted(reports)).toEqual({ stdout, error: expect.objectContaining(full) });
});
