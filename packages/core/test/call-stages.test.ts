import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CallStage, type Orchestrator, OrchestratorError } from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = harness();
});
afterEach(() => h.stop());

const answering = (value: unknown) => ({ services: { some: { run: () => value } } });

async function started(options: Parameters<Harness['another']>[0]): Promise<Orchestrator> {
  const orchestrator = h.another(options);
  orchestrator.workflow('calls', (ctx) => ctx.call('some', 'do', {}, { retry: { maxAttempts: 1 } }));
  await orchestrator.start();
  return orchestrator;
}

describe('callEnded', () => {
  /** What listeners saw of calls: outcome and code. */
  function watched(orchestrator: Orchestrator): unknown[] {
    const seen: unknown[] = [];
    orchestrator.on('callEnded', ({ service, operation, outcome, error }) =>
      seen.push([service, operation, outcome, error?.code]),
    );
    return seen;
  }

  it.each<[string, unknown, string]>([
    ['an error of the host', new Error('a stage'), 'service_error'],
    ['an OrchestratorError', new OrchestratorError('forbidden', 'not this one'), 'forbidden'],
    ['no error at all', undefined, 'service_error'],
  ])('is emitted for a call whose stage throws %s', async (_, thrown, code) => {
    const stage: CallStage = () => Promise.reject(thrown as Error);
    const orchestrator = await started({ ...answering(1), callStages: [stage] });
    const seen = watched(orchestrator);
    const { task_id } = await h.acme.tasks.submit({ type: 'calls', max_attempts: 1 });
    await settled();
    expect(seen).toEqual([['some', 'do', 'failed', code]]);
    expect(await h.acme.tasks.get(task_id)).toMatchObject({ status: 'failed', error: { code } });
  });

  it('is emitted for a call of a cancelled task', async () => {
    let calls = 0;
    const run = () => {
      calls += 1;
      return new Promise(() => {});
    };
    const orchestrator = await started({ services: { some: { run } } });
    const seen = watched(orchestrator);
    const { task_id } = await h.acme.tasks.submit({ type: 'calls' });
    await settled();
    expect([calls, seen]).toEqual([1, []]);
    await h.acme.tasks.cancel(task_id);
    await settled();
    expect(seen).toEqual([['some', 'do', 'failed', expect.any(String)]]);
  });
});
