import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { durable } from './durable/durable.js';
import { memory } from './memory.js';
import { notifications } from './notifications.js';
import { parked } from './parked.js';
import { growth } from './redis/growth.js';
import { matchesOf, redis } from './redis/redis.js';
import { soak } from './soak/soak.js';
import { steps } from './steps/steps.js';

const BENCHMARKS = { durable, memory, parked, notifications, redis, growth, steps, soak } as const;

function usage(): string {
  return [
    `usage: npm run bench -- <${Object.keys(BENCHMARKS).join('|')}> [--rounds <n>] [--json <file>]`,
    '  durable: [--only <part of a name>]',
    '  redis:  [--only <part of a name>] [--profile <folder>]',
    '  growth: [--waiting <tasks>]',
    '  steps:  [--waiting <tasks>] [--only <part of a name>]',
    '  soak:   [--only <part of a name>]',
  ].join('\n');
}

function count(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new Error(`--${name}: expected a number of 1 or more, got "${text}"`);
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      json: { type: 'string' },
      only: { type: 'string' },
      profile: { type: 'string' },
      waiting: { type: 'string' },
    },
  });
  const [name = ''] = positionals;
  if (positionals.length !== 1 || !Object.hasOwn(BENCHMARKS, name)) {
    throw new Error(`expected the name of a benchmark, got "${positionals.join(' ')}"`);
  }
  if (name === 'redis') matchesOf(values.only);
  const overRedis = name === 'redis' || name === 'growth';
  return {
    name: name as keyof typeof BENCHMARKS,
    rounds: count(
      'rounds',
      values.rounds ?? (overRedis || name === 'steps' || name === 'durable' ? '3' : '5'),
    ),
    waiting: count('waiting', values.waiting ?? (name === 'steps' ? '20000' : '200000')),
    only: values.only,
    profiles: values.profile,
    json: values.json,
  };
}

let options;
try {
  options = readArguments();
} catch (error) {
  console.error(`${(error as Error).message}\n${usage()}`);
  process.exit(2);
}
const { name, json, ...rest } = options;
const result = await BENCHMARKS[name](rest);
if (json !== undefined) writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
