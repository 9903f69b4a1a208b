import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ApiClient } from '../src/client/api-client.js';

/** A server with these answers, one after the other; the last one again and again. */
async function answering(...answers: { readonly status: number; readonly retryAfter?: string }[]) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { status, retryAfter } = answers[Math.min(asked.length, answers.length - 1)] ?? { status: 500 };
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(status, {
      'content-type': 'application/json',
      ...(retryAfter !== undefined && { 'retry-after': retryAfter }),
    });
    const code = status === 429 ? 'rate_limited' : 'internal_error';
    response.end(JSON.stringify(status === 200 ? { fine: true } : { code, detail: 'no' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    asked,
    client: new ApiClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'key'),
  };
}

describe('a request of the command line beyond a rate limit', () => {
  it('is sent again after Retry-After', async () => {
    const { asked, client } = await answering({ status: 429, retryAfter: '1' }, { status: 200 });
    const began = performance.now();
    expect(await client.post('/v1/tasks', { type: 'any' })).toEqual({ fine: true });
    expect(performance.now() - began).toBeGreaterThanOrEqual(990);
    expect(asked).toEqual(['POST /v1/tasks', 'POST /v1/tasks']);
  });

  it.each([
    [{ status: 429, retryAfter: '31' }, 'rate_limited'],
    [{ status: 429 }, 'rate_limited'],
    [{ status: 500, retryAfter: '1' }, 'internal_error'],
  ])('is answered at once with %j', async (answer, code) => {
    const { asked, client } = await answering(answer);
    await expect(client.get('/v1/tasks')).rejects.toMatchObject({ code });
    expect(asked).toHaveLength(1);
  });

  it('ends its wait with its signal', async () => {
    const { client } = await answering({ status: 429, retryAfter: '20' });
    const over = new AbortController();
    const asking = client.get('/v1/tasks', { signal: over.signal });
    setTimeout(() => over.abort(), 50);
    await expect(asking).rejects.toMatchObject({ name: 'AbortError' });
  });
});
