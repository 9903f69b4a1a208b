// Whether the packages can be published: `npm run check:packages`.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { pack, publishedPackages, root } from './packages.mjs';

const REQUIRED_FIELDS = ['description', 'keywords', 'homepage', 'bugs', 'license', 'repository', 'engines'];
/**
 * The packages are ESM only: resolution that knows no `exports` does not find them, and CommonJS gets ESM, which it can
 * require. This is the profile `esm-only` of `attw`.
 */
const NOT_SUPPORTED = new Set(['node10', 'node16-cjs']);

/** What a reader of the registry's page, or a bundler, would miss. */
async function missingFrom({ folder, path, manifest }) {
  const findings = REQUIRED_FIELDS.filter((field) => manifest[field] === undefined).map(
    (field) => `package.json: expected "${field}"`,
  );
  if (manifest.publishConfig?.access !== 'public')
    findings.push('package.json: expected publishConfig.access "public"');
  if (manifest.repository?.directory !== folder)
    findings.push(`package.json: expected repository.directory "${folder}"`);
  if (manifest.sideEffects === undefined) findings.push('package.json: expected "sideEffects"');
  const licences = await Promise.all(
    [root, path].map((of) => readFile(join(of, 'LICENSE'), 'utf8').catch(() => '')),
  );
  if (licences[0] !== licences[1]) findings.push('LICENSE: expected that of the repository');
  const readme = await readFile(join(path, 'README.md'), 'utf8').catch(() => '');
  if (!/^```(?:js|sh)\n/m.test(readme)) findings.push('README.md: expected an example that runs as it is');
  return findings;
}

async function publintOf(manifest, tarball) {
  const { messages } = await publint({ pack: { tarball: tarball.buffer }, strict: true });
  return messages.map((message) => `publint: ${formatMessage(message, manifest, { color: false })}`);
}

/** Whether TypeScript and Node agree on what each entry point is. */
async function typesOf({ exports }, tarball) {
  const { types, problems = [] } = await checkPackage(createPackageFromTarballData(tarball));
  const hasEntryPoint = Object.keys(exports).some((entry) => entry !== './package.json');
  if (types === false) return hasEntryPoint ? ['attw: expected types, found none'] : [];
  return problems
    .filter(({ resolutionKind }) => !NOT_SUPPORTED.has(resolutionKind))
    .map((problem) => `attw: ${JSON.stringify(problem)}`);
}

const folder = await mkdtemp(join(tmpdir(), 'packages-'));
try {
  const tarballs = await pack(folder);
  const checked = await Promise.all(
    (await publishedPackages()).map(async (found) => {
      const { manifest } = found;
      // A copy, since the buffer of a small file is shared with others.
      const tarball = new Uint8Array(await readFile(tarballs.get(manifest.name)));
      const findings = await Promise.all([
        missingFrom(found),
        publintOf(manifest, tarball),
        typesOf(manifest, tarball),
      ]);
      return findings.flat().map((finding) => `${manifest.name}: ${finding}`);
    }),
  );
  for (const finding of checked.flat()) console.error(finding);
  if (checked.flat().length > 0) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
