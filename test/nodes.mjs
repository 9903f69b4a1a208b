// Runs `npm test`'s suite on every supported version of Node: this one, and binaries of the others from the
// package registry. `npm run test:nodes -- --nodes=22,24` runs it on these only; other arguments after `--`
// go to vitest: `npm run test:nodes -- packages/core`. `NODE_22=<path>` names an installed binary.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSIONS = ['20', '22', '24'];
const ONLY = '--nodes=';
const root = fileURLToPath(new URL('../', import.meta.url));
const cache = join(root, 'node_modules', '.cache', 'nodes');
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) throw error;
  return status ?? 1;
}

/** A binary of this version. @throws {Error} that says what to install. */
function binaryOf(version) {
  if (process.versions.node.startsWith(`${version}.`)) return process.execPath;
  return process.env[`NODE_${version}`] ?? installed(version);
}

/** The binary, installed at its first use. */
function installed(version) {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const folder = join(cache, version);
  const binary = join(folder, 'node_modules', 'node', 'bin', 'node');
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  const alias = `node@npm:node-${platform}-${process.arch}@${version}`;
  const status = run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', folder, alias]);
  if (status === 0 && existsSync(binary)) return binary;
  throw new Error(
    `Node ${version} is not available: npm did not install node-${platform}-${process.arch}@${version}.\n` +
      `Install Node ${version} by other means (https://nodejs.org/en/download, or nvm install ${version}), and set the path ` +
      `of its binary: NODE_${version}=<path of node> npm run test:nodes`,
  );
}

const args = process.argv.slice(2);
const only = args.find((arg) => arg.startsWith(ONLY));
const versions = only === undefined ? VERSIONS : only.slice(ONLY.length).split(',');
const unknown = versions.filter((version) => !VERSIONS.includes(version));
if (unknown.length > 0) {
  console.error(`${ONLY}: expected some of ${VERSIONS.join(',')}, got "${unknown.join(',')}"`);
  process.exit(2);
}
// All of them before the first run, so that a missing one is reported at once.
let binaries;
try {
  binaries = new Map(versions.map((version) => [version, binaryOf(version)]));
} catch (error) {
  console.error(error.message);
  process.exit(1);
}

const failed = [];
for (const [version, binary] of binaries) {
  console.log(`\n== Node ${version}: ${spawnSync(binary, ['--version']).stdout.toString().trim()}`);
  const path = `${join(binary, '..')}:${process.env.PATH}`;
  const status = run(binary, [vitest, 'run', ...args.filter((arg) => arg !== only)], {
    env: { ...process.env, PATH: path },
  });
  if (status !== 0) failed.push(version);
}
if (failed.length > 0) {
  console.error(`failed on Node ${failed.join(', ')}`);
  process.exit(1);
}
