// Runs in the folder of a package before it is packed: builds it anew, so that no file of an earlier build is published.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './packages.mjs';

rmSync(join(process.cwd(), 'dist'), { recursive: true, force: true });
execFileSync(process.execPath, [join(root, 'packages/redis-adapter/lua/embed.mjs')], {
  cwd: root,
  stdio: 'inherit',
});
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b'], { stdio: 'inherit' });
