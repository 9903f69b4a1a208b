import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { OpenWorkflow } from 'openworkflow';
import { BackendSqlite } from 'openworkflow/sqlite';

const CONCURRENCY = 100;

/**
 * OpenWorkflow on `node:sqlite`. Its handles poll for results once a second: a workflow counts as ended when its function
 * returns, before the result is stored, which is in its favour.
 */
export async function startOpenWorkflow(folder: string) {
  await mkdir(folder, { recursive: true });
  const backend = BackendSqlite.connect(join(folder, 'openworkflow.db'));
  const openWorkflow = new OpenWorkflow({ backend });
  const ended = new Map<number, () => void>();
  const steps = openWorkflow.defineWorkflow<{ n: number; payload: string }, number>(
    { name: 'steps' },
    async ({ input, step }) => {
      let sum = 0;
      for (const name of ['one', 'two', 'three']) sum += await step.run({ name }, async () => name.length);
      ended.get(input.n)?.();
      return sum;
    },
  );
  const worker = openWorkflow.newWorker({ concurrency: CONCURRENCY });
  await worker.start();
  let runs = 0;
  return {
    async runWorkflow() {
      const n = runs++;
      const end = new Promise<void>((resolve) => ended.set(n, resolve));
      await steps.run({ n, payload: 'x'.repeat(200) });
      await end;
      ended.delete(n);
    },
    async close() {
      await worker.stop();
      await backend.stop();
    },
  };
}
