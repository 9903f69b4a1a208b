// The Lua files of the adapter, with the generated ones.
import { readdirSync, readFileSync } from 'node:fs';
import * as core from '@agent-orchestrator/core/protocol';
import { RULES_FILE, rulesOf } from './rules.mjs';

const SOURCE = new URL('../src/', import.meta.url);

/** @returns {Map<string, string>} Text by path below `src`, in the order of the paths. */
export function luaFiles() {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.lua') && !path.startsWith('generated/'))
    .toSorted();
  return new Map([
    [RULES_FILE, rulesOf(core)],
    ...files.map((path) => [path, readFileSync(new URL(path, SOURCE), 'utf8')]),
  ]);
}
