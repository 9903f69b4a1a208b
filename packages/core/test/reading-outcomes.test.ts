import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { addUnread } from '../src/protocol/known-text.js';
import { PORTION } from '../src/protocol/portioned-json.js';
import type { Claim } from '../src/storage/task-queue.js';
import type { Command } from '../src/workflows/requested-step.js';
import { Listeners } from '../src/runtime/listeners.js';
import type { RunPorts } from '../src/workflows/run-ports.js';
import { LeaseTerm } from '../src/workflows/lease-term.js';
import { WorkflowRun } from '../src/workflows/workflow-run.js';

const TEXT = JSON.stringify({ rows: Array.from({ length: 40_000 }, (_, n) => ({ n, text: 'ab' })) });
const ASK = { id: 's', kind: 'signal', name: 'go' } as unknown as Command;

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await turn();
}

/** A run whose journal has one outcome: a large one, which is read in portions, or a small one. */
function runOver(text: string | undefined): WorkflowRun {
  const task = { task_id: 'x', tenant_id: 'acme', type: 'any', payload: null, metadata: {} };
  const outcome: { readonly ok: true; value: unknown } = { ok: true, value: 1 };
  if (text !== undefined) addUnread(outcome, 'value', text);
  const known = { tries: 0, backingOff: false, inherited: false, rev: 1, endedAt: 1 };
  const step = { key: '#s', kind: 'signal', name: 'signal go', outcome, ...known };
  const claim = { task, token: 't', steps: [step], journalRev: 1, replayedTo: 0, inherited: 0, startedAt: 0 };
  const changes = { answer: 'changes', journalRev: 1, changes: [], cancelReason: 'enough' };
  const ports = {
    clock: { now: () => 0, after: () => () => {} },
    hooks: new Listeners(() => {}),
    limits: { parkAfterMs: 1_000, mismatchMs: 5_000 },
    storage: { journal: { changesSince: async () => changes } },
  };
  const owner = { mayIdle: () => true, onIdle: () => {} };
  return new WorkflowRun(
    claim as unknown as Claim,
    ports as unknown as RunPorts,
    owner,
    new LeaseTerm(30_000),
  );
}

describe('a run whose outcome is being parsed', () => {
  it.each([
    ['small', undefined],
    ['large', TEXT],
  ])('does not continue once it is abandoned: %s', async (_, text) => {
    const run = runOver(text);
    const went = vi.fn();
    const ended = run.run(async () => {
      await run.request(ASK);
      went();
    });
    if (text !== undefined) await turns(2);
    const parse = vi.spyOn(JSON, 'parse');
    onTestFinished(() => parse.mockRestore());
    run.abandon();
    expect((await ended).kind).toBe('abandoned');
    await turns(50);
    expect(went).not.toHaveBeenCalled();
    expect(parse).not.toHaveBeenCalled();
  });

  it('still parses it in portions when it is cancelled meanwhile', async () => {
    const run = runOver(TEXT);
    let value: unknown;
    const ended = run.run(async () => {
      value = await run.request(ASK);
    });
    await turns(2);
    const parse = vi.spyOn(JSON, 'parse');
    onTestFinished(() => parse.mockRestore());
    run.onWakeup();
    await ended;
    expect(value).toEqual(JSON.parse(TEXT.replaceAll('ab', 'ab')));
    const lengths = parse.mock.calls.slice(0, -1).map(([text]) => text.length);
    expect(Math.max(0, ...lengths)).toBeLessThan(2 * PORTION);
  });

  it('fails when it cannot be parsed', async () => {
    const run = runOver(TEXT.slice(0, -1));
    const end = await run.run(async () => {
      await run.request(ASK);
    });
    expect(end.kind).toBe('failed');
  });
});
