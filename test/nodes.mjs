// Runs the tests on every supported version of Node: this one, and binaries of the others from the package registry.
// What comes after `--` goes to vitest: `npm run test:nodes -- packages/core`.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSIONS = ['20', '22', '24'];
const root = fileURLToPath(new URL('../', import.meta.url));
const cache = join(root, 'node_modules', '.cache', 'nodes');
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) throw error;
  return status ?? 1;
}

/** A binary of this version; it is installed when it is asked for the first time. */
function binaryOf(version) {
  if (process.versions.node.startsWith(`${version}.`)) return process.execPath;
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const folder = join(cache, version);
  const binary = join(folder, 'node_modules', 'node', 'bin', 'node');
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  const alias = `node@npm:node-${platform}-${process.arch}@${version}`;
  const status = run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', folder, alias]);
  if (status !== 0 || !existsSync(binary))
    throw new Error(`Node ${version}: its binary could not be installed`);
  return binary;
}

const failed = [];
for (const version of VERSIONS) {
  const binary = binaryOf(version);
  console.log(`\n== Node ${version}: ${spawnSync(binary, ['--version']).stdout.toString().trim()}`);
  const path = `${join(binary, '..')}:${process.env.PATH}`;
  const status = run(binary, [vitest, 'run', ...process.argv.slice(2)], {
    env: { ...process.env, PATH: path },
  });
  if (status !== 0) failed.push(version);
}
if (failed.length > 0) {
  console.error(`failed on Node ${failed.join(', ')}`);
  process.exit(1);
}
