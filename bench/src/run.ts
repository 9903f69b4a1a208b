import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { memory } from './memory.js';
import { notifications } from './notifications.js';
import { parked } from './parked.js';

const BENCHMARKS = { memory, parked, notifications } as const;

function usage(): string {
  return `usage: npm run bench -- <${Object.keys(BENCHMARKS).join('|')}> [--rounds <n>] [--json <file>]`;
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: 'string', default: '5' }, json: { type: 'string' } },
  });
  const [name = ''] = positionals;
  if (positionals.length !== 1 || !Object.hasOwn(BENCHMARKS, name)) {
    throw new Error(`expected the name of a benchmark, got "${positionals.join(' ')}"`);
  }
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new Error(`--rounds: expected a number of 1 or more, got "${values.rounds}"`);
  }
  return { name: name as keyof typeof BENCHMARKS, rounds, json: values.json };
}

let options;
try {
  options = readArguments();
} catch (error) {
  console.error(`${(error as Error).message}\n${usage()}`);
  process.exit(2);
}
const result = await BENCHMARKS[options.name]({ rounds: options.rounds });
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`);
