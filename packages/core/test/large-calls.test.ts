import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type JsonValue, Orchestrator, OrchestratorError, type ServiceCall } from '../src/index.js';
import { systemClock } from '../src/storage/index.js';
import { addUnread } from '../src/protocol/known-text.js';
import { PORTION } from '../src/protocol/portioned-json.js';
import type { RunPorts } from '../src/workflows/run-ports.js';
import { LeaseTerm } from '../src/workflows/lease-term.js';
import { WorkflowRun } from '../src/workflows/workflow-run.js';
import type { Claim } from '../src/storage/task-queue.js';

const rows = Array.from({ length: 40_000 }, (_, n) => ({ n, text: 'ab' }));
const large = { rows };
const TEXT = JSON.stringify(large);
/** No jitter: what is sent again is sent again at once. */
const random = { uuid: () => crypto.randomUUID(), fraction: () => 0 };

let stop: () => Promise<unknown> = async () => {};
afterEach(() => stop());

async function started(orchestrator: Orchestrator): Promise<Orchestrator> {
  await orchestrator.start();
  stop = () => orchestrator.stop({ graceMs: 0 });
  return orchestrator;
}

/** A service that answers with the input, which it cuts out of the body, so that it neither reads nor writes it. */
async function remote(): Promise<string> {
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const isWhole = Buffer.concat(chunks).includes(TEXT);
      response.setHeader('content-type', 'application/json');
      response.end(isWhole ? `{"result":${TEXT}}` : '{"result":"not the input"}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a large value in a call', () => {
  it.each(['in this process', 'over HTTP'])(
    'is read in portions, and written once for each who hands it over: %s',
    async (where) => {
      const inProcess = where === 'in this process';
      const service = inProcess
        ? { run: ({ input }: ServiceCall) => input as JsonValue }
        : { url: await remote() };
      const orchestrator = await started(new Orchestrator({ services: { echo: service } }));
      orchestrator.workflow('pass', (ctx, payload) => ctx.call('echo', 'echo', payload as never));
      const acme = orchestrator.tenant('acme');
      const followed = new AbortController();
      const { cursor } = await acme.events.snapshot({ tenant: true });
      const following = (async () => {
        for await (const event of acme.events.log({ after: cursor, signal: followed.signal }))
          if (event.event === 'task_completed') return event;
        return undefined;
      })();
      const submitted = await acme.tasks.submit({ type: 'pass', payload: large });
      const parse = vi.spyOn(JSON, 'parse');
      const write = vi.spyOn(JSON, 'stringify');
      onTestFinished(() => {
        vi.restoreAllMocks();
      });
      const task = await acme.tasks.wait(submitted.task_id);
      const event = await following;
      followed.abort();
      const read = parse.mock.calls.map(([text]) => text.length);
      const written = write.mock.results.map(({ value }) => (value as string | undefined)?.length ?? 0);
      vi.restoreAllMocks();
      expect(task.status).toBe('completed');
      expect(task.result).toEqual(large);
      expect(event?.data).toEqual(large);
      expect(Math.max(...read)).toBeLessThan(2 * PORTION);
      // The workflow hands over the input and the result, a service in this process its answer.
      expect(written.filter((length) => length >= TEXT.length)).toHaveLength(inProcess ? 3 : 2);
    },
  );

  it('is delivered to the workflow in the order of the journal', async () => {
    const service = { run: ({ input }: ServiceCall) => (input === 'large' ? large : input) as JsonValue };
    const orchestrator = await started(new Orchestrator({ services: { echo: service } }));
    const order: unknown[] = [];
    orchestrator.workflow('race', async (ctx) => {
      const calls = ['small', 'large', 'last'].map(async (input) => {
        await ctx.call('echo', 'echo', input);
        order.push(input);
      });
      await Promise.all(calls);
    });
    const acme = orchestrator.tenant('acme');
    const { task_id } = await acme.tasks.submit({ type: 'race' });
    await acme.tasks.wait(task_id);
    expect(order).toEqual(['small', 'large', 'last']);
  });
});

describe('the input of an in-process service', () => {
  it.each([
    ['small', { list: [1] }],
    ['large', { list: [1], rows }],
  ])('is a copy for each send and each try: %s', async (_, input) => {
    const seen: { readonly attempt: number; readonly input: unknown }[] = [];
    const service = {
      run(call: ServiceCall<string, { list: unknown[]; rows?: unknown }>) {
        seen.push(structuredClone({ attempt: call.attempt, input: call.input }));
        call.input.list.push('changed');
        delete call.input.rows;
        Object.assign(call.metadata, { user_id: 'changed' });
        if (seen.length < 4) throw new OrchestratorError('rate_limited', 'later', { retryable: true });
        return call.input.list;
      },
    };
    const orchestrator = await started(new Orchestrator({ random, services: { own: service } }));
    let given: unknown;
    orchestrator.workflow('calls', (ctx) => {
      given = structuredClone(input);
      return ctx.call('own', 'work', given as never);
    });
    const acme = orchestrator.tenant('acme');
    const { task_id } = await acme.tasks.submit({ type: 'calls' });
    const task = await acme.tasks.wait(task_id);
    expect(task.result).toEqual([1, 'changed']);
    expect(seen.map((one) => one.input)).toEqual([input, input, input, input]);
    expect(given).toEqual(input);
  });
});

describe('a run with a large payload', () => {
  it('does not start when its lease is lost meanwhile', async () => {
    const task = { task_id: 'x', tenant_id: 'acme', type: 'any', payload: null, metadata: {} };
    addUnread(task, 'payload', TEXT);
    const claim = { task, token: 't', steps: [], journalRev: 0, replayedTo: 0, inherited: 0, startedAt: 0 };
    const owner = { mayIdle: () => true, onIdle: () => {} };
    const run = new WorkflowRun(
      claim as unknown as Claim,
      { clock: systemClock } as RunPorts,
      owner,
      new LeaseTerm(30_000),
    );
    const parse = vi.spyOn(JSON, 'parse');
    onTestFinished(() => parse.mockRestore());
    const loaded = run.load();
    run.abandon();
    await expect(loaded).resolves.toBe(false);
    expect(parse).not.toHaveBeenCalled();
  });
});
