import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';

interface Locked {
  readonly hasInstallScript?: boolean;
  readonly deprecated?: string;
}

it('npm ci has nothing to warn of: no package that has an install script, none that is deprecated', async () => {
  const lock = await readFile(new URL('../package-lock.json', import.meta.url), 'utf8');
  const { packages } = JSON.parse(lock) as { readonly packages: Readonly<Record<string, Locked>> };
  expect(Object.keys(packages).length).toBeGreaterThan(20);
  const warnedOf = Object.entries(packages).filter(
    ([, { hasInstallScript, deprecated }]) => hasInstallScript === true || deprecated !== undefined,
  );
  expect(warnedOf).toEqual([]);
});
