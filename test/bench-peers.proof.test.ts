import { access } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { installPeers } from '../bench/src/peers.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** `bench/peers` is not a workspace, so `npm run check` does not compile it. */
it('the adapter of BullMQ compiles against the BullMQ that its lock names, and against bench', async ({
  signal,
}) => {
  await installPeers(signal);
  await expect(access(`${root}bench/peers/dist/bullmq.js`)).resolves.toBeUndefined();
});
