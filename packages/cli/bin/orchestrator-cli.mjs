#!/usr/bin/env node
// Committed as it is, so that npm can link it before anything is built.
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const built = new URL('../dist/main.js', import.meta.url);
if (!existsSync(fileURLToPath(built))) {
  process.stderr.write('orchestrator-cli is not built yet: run "npm run build" in the repository.\n');
  process.exitCode = 78;
} else {
  // From Node 22 on: the next start is sooner.
  module.enableCompileCache?.();
  const { main } = await import(built.href);
  process.exitCode = await main(process.argv.slice(2));
  // What a workflow of the config file left running does not keep the process.
  setTimeout(() => process.exit(), 500).unref();
}
