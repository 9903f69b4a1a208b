import { describe, expect, it } from 'vitest';
import { FileStorage } from '../../src/file/file-storage.js';
import { ManualClock } from '../harness.js';
import { folder } from './folder.js';

const computation = (digest: string, token = `of-${digest}`) => ({ tenantId: 'acme', digest, token });

async function fill(storage: FileStorage, digest: string, value: unknown): Promise<string> {
  await storage.cache.claim({ ...computation(digest), leaseMs: 10_000, kind: 'k', collection: 'docs' });
  const entry = { value: value as string, tokens: 7, model: 'm', ttlMs: 60_000 };
  return storage.cache.put({ ...computation(digest), ...entry });
}

describe('cached values in a folder', () => {
  it.each(['closed', 'killed'])(
    'are there after the process was %s, and its leases have ended',
    async (how) => {
      await using place = await folder();
      const clock = new ManualClock();
      const options = { clock, durability: 'process' } as const;
      const first = await FileStorage.open(place.path, options);
      const large = { text: 'x'.repeat(100_000) };
      expect(await fill(first, 'small', { n: 1 })).toBe('stored');
      expect(await fill(first, 'large', large)).toBe('stored');
      expect(await fill(first, 'short', 'gone soon')).toBe('stored');
      await first.cache.claim({ ...computation('lease'), leaseMs: 10_000, kind: 'k' });
      if (how === 'closed') await first.close();
      // The log is read again, as after a kill: its process does nothing more.
      else await (first as unknown as { parts: { lock: { release(): Promise<void> } } }).parts.lock.release();
      const second = await FileStorage.open(place.path, options);
      const found = async (digest: string) =>
        second.cache.claim({ ...computation(digest, 'other'), leaseMs: 10_000, kind: 'k' });
      const hit = { answer: 'hit', tokens: 7, model: 'm' };
      expect(await found('small')).toEqual({ ...hit, value: { n: 1 }, token: 'of-small' });
      expect(await found('large')).toEqual({ ...hit, value: large, token: 'of-large' });
      expect(await found('lease')).toEqual({ answer: 'claimed' });
      expect(await second.cache.put({ ...computation('lease'), value: 1, tokens: 0, ttlMs: 1_000 })).toBe(
        'lost',
      );
      await clock.advance(120_000);
      await second.queue.sweep({ max: 100 });
      expect(await second.cache.invalidate({ tenantId: 'acme' })).toBe(0);
      expect(await found('small')).toEqual({ answer: 'claimed' });
      await second.close();
    },
  );
});
