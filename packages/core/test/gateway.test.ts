import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { OrchestratorError, type ServiceCall } from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
beforeEach(async () => {
  h = harness();
  await h.orchestrator.start();
});
afterEach(() => h.stop());

const from = { service: 'asker' };
const request = { from, tenant_id: 'acme', service: 'target', operation: 'work', input: 1 };
const keyed = { ...request, idempotencyKey: 'k' };
const { signal } = new AbortController();

/** Calls of the service `target`, each with what answers it. */
function target() {
  const calls: { readonly call: ServiceCall; answer(result: number): void; fail(error: Error): void }[] = [];
  h.orchestrator.service('target', {
    run: (call) => new Promise((answer, fail) => calls.push({ call, answer, fail })),
  });
  return calls;
}

const statuses = async () => (await h.acme.tasks.list()).tasks.map(({ status }) => status);

describe('a gateway request whose caller disconnects', () => {
  it('is not recorded as failed: its repeat with the same key resends the call, and gets the answer', async () => {
    const calls = target();
    const gone = new AbortController();
    const first = h.orchestrator.gateway.request(keyed, { signal: gone.signal });
    await settled();
    gone.abort();
    await expect(first).rejects.toMatchObject({ code: 'cancelled', retryable: true });
    expect(await statuses()).toEqual(['processing']);
    const again = h.orchestrator.gateway.request(keyed, { signal });
    await settled();
    calls[1]?.answer(2);
    expect(await again).toEqual({ answer: 'result', result: 2 });
    expect(new Set(calls.map(({ call }) => call.call_id)).size).toBe(1);
    expect(await h.orchestrator.gateway.request(keyed, { signal })).toEqual({ answer: 'result', result: 2 });
    expect(calls).toHaveLength(2);
    expect(await statuses()).toEqual(['completed']);
  });

  it('before it is sent gets the answer when repeated', async () => {
    const calls = target();
    const first = h.orchestrator.gateway.request(keyed, { signal: AbortSignal.abort() });
    await expect(first).rejects.toMatchObject({ code: 'cancelled', retryable: true });
    const again = h.orchestrator.gateway.request(keyed, { signal });
    await settled();
    calls.at(-1)?.answer(2);
    expect(await again).toEqual({ answer: 'result', result: 2 });
  });

  it.each([10, 1_000_000])('while the response is read gets it when repeated: %d bytes', async (size) => {
    const text = 'x'.repeat(size);
    const gone = new AbortController();
    let asked = 0;
    const server = createServer((incoming, response) => {
      asked += 1;
      const whole = JSON.stringify({ result: text });
      const isFirst = asked === 1;
      incoming.resume().on('end', () => {
        response.setHeader('content-type', 'application/json');
        if (!isFirst) return response.end(whole);
        return response.write(whole.slice(0, whole.length / 2), () => gone.abort());
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.close();
      server.closeAllConnections();
    });
    const { port } = server.address() as AddressInfo;
    h.orchestrator.service('target', { url: `http://127.0.0.1:${port}` });
    const first = h.orchestrator.gateway.request(keyed, { signal: gone.signal });
    await expect(first).rejects.toMatchObject({ code: 'cancelled', retryable: true });
    const again = await h.orchestrator.gateway.request(keyed, { signal });
    expect(again).toEqual({ answer: 'result', result: text });
    expect(asked).toBe(2);
  });

  it('does not leave a concurrent repeat without its job outcome', async () => {
    const calls = target();
    const frames: unknown[] = [];
    h.orchestrator.links.attach({ id: 'c', service: 'asker', send: (frame) => frames.push(frame) });
    const gone = new AbortController();
    const first = h.orchestrator.gateway.request(keyed, { signal: gone.signal });
    await settled();
    expect(await h.orchestrator.gateway.request(keyed, { signal })).toMatchObject({ answer: 'job' });
    gone.abort();
    await expect(first).rejects.toMatchObject({ code: 'cancelled', retryable: true });
    await settled();
    calls[1]?.answer(2);
    await settled();
    expect(frames).toMatchObject([{ event: 'task_completed', data: 2 }]);
    expect(calls).toHaveLength(2);
  });

  it('is recorded as failed without a key, since it cannot be repeated', async () => {
    target();
    const gone = new AbortController();
    const first = h.orchestrator.gateway.request(request, { signal: gone.signal });
    await settled();
    gone.abort();
    await expect(first).rejects.toBeInstanceOf(OrchestratorError);
    expect(await statuses()).toEqual(['failed']);
  });
});

describe('a gateway request whose caller stays', () => {
  it('returns the failure of its service, however often it is repeated', async () => {
    const calls = target();
    const failure = new OrchestratorError('service_error', 'broken', { retryable: false });
    const first = h.orchestrator.gateway.request(keyed, { signal });
    await settled();
    calls[0]?.fail(failure);
    await expect(first).rejects.toMatchObject({ code: 'service_error' });
    await expect(h.orchestrator.gateway.request(keyed, { signal })).rejects.toMatchObject({
      code: 'service_error',
    });
    expect(calls).toHaveLength(1);
  });
});
