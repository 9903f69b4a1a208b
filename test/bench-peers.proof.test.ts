import { access, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { installPeers } from '../bench/src/peers.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** `bench/peers` is not a workspace, so `npm run check` does not compile it. */
it('the adapter of BullMQ compiles against the BullMQ that its lock names, and against bench', async ({
  signal,
}) => {
  await installPeers(signal);
  await access(`${root}bench/peers/dist/bullmq.js`);
});

it('npm ci in the repository installs no package that has an install script', async () => {
  const lock = JSON.parse(await readFile(`${root}package-lock.json`, 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly hasInstallScript?: boolean }>>;
  };
  const withScript = Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript);
  expect(Object.keys(lock.packages).length).toBeGreaterThan(20);
  expect(withScript.map(([path]) => path)).toEqual([]);
});
