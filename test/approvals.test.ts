import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JsonValue, Orchestrator } from '../packages/core/src/index.js';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { type Harness, harness } from '../packages/core/test/harness.js';

const HOUR = 3_600_000;
const root = fileURLToPath(new URL('..', import.meta.url));
/** Inside the repository, so that packages resolve. */
const folder = join(root, 'node_modules', '.approvals');
mkdirSync(folder, { recursive: true });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Sample {
  readonly file: string;
  readonly code: string;
}

/** Every documented sample with a workflow that waits for a signal. */
function samples(): Sample[] {
  const documents = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
  return ['README.md', ...documents.map((name) => join('docs', name))].flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const found = [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = '']) => code);
    return found.filter((code) => code.includes('ctx.waitForSignal')).map((code) => ({ file, code }));
  });
}

const IMPORTS = `import { z } from 'zod';
import { defineWorkflow, type WorkflowContext } from '../../packages/core/src/index.js';`;
/** Constants, contracts, definitions of workflows and their registration. */
const PARTS =
  /^const [A-Z]+ = .*;$|^const contracts = [\s\S]*?^\};$|^const \w+ = defineWorkflow\([\s\S]*?^\);$|^orchestrator\.workflow\((?:\w+\);$|[\s\S]*?^\}\);$)/gm;

/** Registers the workflows of a sample unchanged, with the constants before them. */
async function register({ file, code }: Sample, orchestrator: Orchestrator): Promise<void> {
  const parts = [...code.matchAll(PARTS)];
  const path = join(folder, `${file.replaceAll(/\W/g, '_')}.ts`);
  const body = parts.map(([part]) => part).join('\n');
  writeFileSync(path, `${IMPORTS}\nexport default (orchestrator: any) => {\n${body}\n};\n`);
  const sample = (await import(/* @vite-ignore */ path)) as { default(to: Orchestrator): void };
  sample.default(orchestrator);
}

function fieldOf(input: unknown, field: string): unknown {
  return (input as Readonly<Record<string, unknown>>)[field];
}

interface Expected {
  readonly type: string;
  readonly payload: JsonValue;
  readonly signal: string;
  readonly value: JsonValue;
  readonly result: unknown;
}

const EXPECTED: Readonly<Record<string, Expected>> = {
  'README.md': {
    type: 'answer_by_mail',
    payload: { question: 'What is it?', to: 'me@example.com' },
    signal: 'approved',
    value: null,
    result: { sent_to: 'me@example.com', text: 'It is that.' },
  },
  'docs/workflows.md': {
    type: 'refund',
    payload: { amount: 500 },
    signal: 'approval',
    value: { approved: true },
    result: { refunded: 500 },
  },
};

let h: Harness;

/** Runs a sample until it waits for its signal. */
async function waiting(sample: Sample) {
  h = harness({
    // Nothing happens for hours: rare sweeps keep the manual clock fast.
    ...{ sweepMs: HOUR, leaseMs: 24 * HOUR },
    services: {
      query: { run: () => ({ answer: 'It is that.', sources: [] }) },
      mailer: { run: ({ input }) => ({ sent_to: fieldOf(input, 'to'), text: fieldOf(input, 'text') }) },
      payments: { run: ({ input }) => ({ refunded: fieldOf(input, 'amount') }) },
    },
  });
  const expected = EXPECTED[sample.file];
  if (!expected) throw new Error(`${sample.file}: expected an entry in EXPECTED`);
  await register(sample, h.orchestrator);
  await h.orchestrator.start();
  const task = await h.acme.tasks.submit({ type: expected.type, payload: expected.payload });
  await h.clock.advance(0);
  expect(await h.acme.tasks.explain(task.task_id)).toMatchObject({
    state: 'parked',
    reason: expect.stringContaining(`waits for signal ${expected.signal} until `),
  });
  return { task, ...expected };
}

describe('the documents', () => {
  it('have samples of approvals', () => {
    expect(samples().map(({ file }) => file)).toEqual(Object.keys(EXPECTED));
  });
});

describe.each(samples())('the approval of $file', (sample) => {
  afterEach(() => h.stop());

  it('is accepted hours after the default timeout of a task', async () => {
    const { task, signal, value, result } = await waiting(sample);
    await h.clock.advance(6 * HOUR);
    await h.acme.tasks.signal(task.task_id, signal, value);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result });
  });

  it('times out after its own limit', async () => {
    const { task, signal } = await waiting(sample);
    await h.clock.advance(24 * HOUR - 1);
    expect(await h.ended(task)).toMatchObject({ status: 'processing' });
    await h.clock.advance(1);
    expect(await h.ended(task)).toMatchObject({
      status: 'failed',
      error: { code: 'timeout', message: `no signal ${signal} in time` },
    });
  });
});
