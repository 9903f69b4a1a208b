// Runs in the folder of a package before it is packed: builds it anew, so that no file of an earlier build is published.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './packages.mjs';

rmSync(join(process.cwd(), 'dist'), { recursive: true, force: true });
const run = (...args) => execFileSync(process.execPath, args, { stdio: 'inherit' });
const compiler = join(root, 'node_modules/typescript/bin/tsc');
// The scripts of the Redis adapter have the rules of core in them.
run(compiler, '-b', join(root, 'packages/core'));
run(join(root, 'packages/redis-adapter/build/embed.mjs'));
run(compiler, '-b');
