import {
  MAX_RATE,
  MAX_RUNNING,
  MAX_WEIGHT,
  type TenantPatch,
  tenantPatchSchema,
  validate,
} from '@agent-orchestrator/core/protocol';
import { UsageError } from '../errors/errors.js';
import { durationOf } from './flag-durations.js';
import { wholeNumber } from './flag-numbers.js';

/** Flags of `tenants set`; "none" is the default again. */
export interface LimitFlags {
  readonly weight?: string;
  readonly maxRunning?: string;
  readonly maxWaiting?: string;
  readonly maxStored?: string;
  readonly retention?: string;
  readonly types?: string;
  readonly services?: string;
  readonly budget?: readonly string[];
  readonly requestsPerMinute?: string;
  readonly burst?: string;
  readonly callsPerMinute?: string;
  readonly tokensPerMinute?: string;
}

type Read = (flag: string, text: string) => unknown;
const NONE = 'none';
const UNITS = { kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30 } as const;

const upTo =
  (max: number): Read =>
  (flag, text) =>
    wholeNumber(flag, text, 1, max);
const names: Read = (_, text) => text.split(',').map((name) => name.trim());

/** How a flag becomes a setting. */
const SETTINGS: readonly (readonly [keyof LimitFlags, string, keyof TenantPatch, Read])[] = [
  ['weight', '--weight', 'weight', upTo(MAX_WEIGHT)],
  ['maxRunning', '--max-running', 'max_running', upTo(MAX_RUNNING)],
  ['maxWaiting', '--max-waiting', 'max_waiting', upTo(999_999_999)],
  ['maxStored', '--max-stored', 'max_stored_bytes', bytesOf],
  ['retention', '--retention', 'retention_ms', durationOf],
  ['types', '--types', 'types', names],
  ['services', '--services', 'services', names],
];
const RATES: readonly (readonly [keyof LimitFlags, string, keyof NonNullable<TenantPatch['rates']>, Read])[] =
  [
    ['requestsPerMinute', '--requests-per-minute', 'requests_per_minute', upTo(MAX_RATE)],
    ['burst', '--burst', 'burst', upTo(MAX_RATE)],
    ['callsPerMinute', '--calls-per-minute', 'calls_per_minute', ratesByName],
    ['tokensPerMinute', '--tokens-per-minute', 'tokens_per_minute', ratesByName],
  ];

/** The change that flags ask for. @throws {UsageError} */
export function changeOf(flags: LimitFlags): TenantPatch {
  const settings = read(SETTINGS, flags);
  const rates = read(RATES, flags);
  const budgets = flags.budget && budgetsOf(flags.budget);
  const patch = {
    ...settings,
    ...(budgets !== undefined && { budgets }),
    ...(Object.keys(rates).length > 0 && { rates }),
  };
  if (Object.keys(patch).length === 0) {
    const all = [...SETTINGS, ...RATES].map(([, flag]) => flag);
    throw new UsageError(`expected one of ${all.join(', ')} or --budget, got none`);
  }
  return validate(tenantPatchSchema, patch, 'the settings');
}

function read(
  table: readonly (readonly [keyof LimitFlags, string, string, Read])[],
  flags: LimitFlags,
): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [key, flag, setting, readText] of table) {
    const text = flags[key];
    if (typeof text === 'string') found[setting] = text === NONE ? null : readText(flag, text);
  }
  return found;
}

/** @throws {UsageError} */
function bytesOf(flag: string, text: string): number {
  const [, number = '', unit = ''] = /^(\d{1,9})\s*(KiB|MiB|GiB)?$/i.exec(text) ?? [];
  const factor = unit === '' ? 1 : UNITS[unit.toLowerCase() as keyof typeof UNITS];
  const bytes = number === '' ? 0 : Number(number) * factor;
  if (bytes > 0) return bytes;
  throw new UsageError(`${flag}: expected bytes, such as 512MiB or 4GiB, got "${text}"`);
}

/** `query=60,*=600`. @throws {UsageError} */
function ratesByName(flag: string, text: string): Record<string, number> {
  const rates: Record<string, number> = {};
  for (const part of text.split(',')) {
    const at = part.lastIndexOf('=');
    const name = part.slice(0, at).trim();
    if (at <= 0 || name === '')
      throw new UsageError(`${flag}: expected <name>=<number>, such as query=60, got "${part}"`);
    rates[name] = wholeNumber(flag, part.slice(at + 1).trim(), 1, MAX_RATE);
  }
  return rates;
}

/** Each `day:tokens=100000,cost=5`, or one "none". @throws {UsageError} */
function budgetsOf(texts: readonly string[]): TenantPatch['budgets'] {
  if (texts.length === 1 && texts[0] === NONE) return null;
  return texts.map((text) => {
    const form = `--budget: expected <day|month>:<tokens=n|cost=n>, such as month:tokens=1000000,cost=20, got "${text}"`;
    const [period = '', limits = ''] = text.split(':');
    const amounts = Object.fromEntries(limits.split(',').map((part) => part.split('='))) as Record<
      string,
      string
    >;
    const { tokens, cost, ...others } = amounts;
    const isKnown = (period === 'day' || period === 'month') && Object.keys(others).length === 0;
    const areWhole = limits.split(',').every((part) => part.split('=').length === 2);
    const areNumbers = [tokens, cost].every(
      (amount) => amount === undefined || /^\d+(?:\.\d+)?$/.test(amount),
    );
    if (!isKnown || !areWhole || !areNumbers) throw new UsageError(form);
    return {
      period,
      ...(tokens !== undefined && { tokens: Number(tokens) }),
      ...(cost !== undefined && { cost: Number(cost) }),
    };
  });
}
