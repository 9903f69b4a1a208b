import { describe, expect, it } from 'vitest';
import { readJsonBody } from '../src/http/body.js';
import { LargeBodies } from '../src/http/large-bodies.js';
import type { NeutralRequest } from '../src/http/neutral-request.js';

const LARGE = Buffer.from(`[${'1,'.repeat(40_000)}0]`);

/** A body whose rest is sent, or aborted, on command. */
function upload(first: Buffer) {
  let end: (error?: Error) => void = () => {};
  const received = new Promise<void>((resolve, reject) => {
    end = (error) => (error ? reject(error) : resolve());
  });
  received.catch(() => undefined);
  const chunks = (async function* () {
    yield first;
    await received;
  })();
  const request: NeutralRequest = {
    method: 'POST',
    path: '/v1/tasks',
    prefix: '',
    headers: { 'content-type': 'application/json' },
    body: { kind: 'stream', chunks },
    signal: new AbortController().signal,
  };
  return { request, end };
}

describe('large bodies', () => {
  it('are limited, half of them for one tenant; each frees its slot, however it ends', async () => {
    const largeBodies = new LargeBodies(4);
    const read = (share: string, first = LARGE) => {
      const { request, end } = upload(first);
      const reading = readJsonBody(request, { share, largeBodies });
      reading.catch(() => undefined);
      return { reading, end };
    };
    const refused = { code: 'rate_limited', retryAfterMs: 1_000 };
    const [one, two] = [read('a'), read('a')];
    await expect(read('a').reading).rejects.toMatchObject(refused);
    // Small ones are not counted.
    const small = read('a', Buffer.from('1'));
    small.end();
    expect(await small.reading).toBe(1);
    const [three, four] = [read('b'), read('c')];
    await expect(read('d').reading).rejects.toMatchObject(refused);
    one.end();
    expect(await one.reading).toHaveLength(40_001);
    two.end(new Error('aborted'));
    await expect(two.reading).rejects.toMatchObject({ code: 'invalid_request' });
    const more = [read('a'), read('a')];
    await expect(read('a').reading).rejects.toMatchObject(refused);
    for (const { reading, end } of [three, four, ...more]) {
      end();
      expect(await reading).toHaveLength(40_001);
    }
  });
});
