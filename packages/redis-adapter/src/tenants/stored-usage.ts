import type { UsageAmounts, UsageDetail, UsageRow } from '@agent-orchestrator/core/storage';

// As in lib/usage.lua.

/** Counters of a row by their names in Redis, in the order in which those of a row with its origin are written. */
const COUNTERS = [
  ['tokens', 'tokens'],
  ['requests', 'requests'],
  ['saved', 'saved_tokens'],
  ['prompt', 'prompt_tokens'],
  ['completion', 'completion_tokens'],
  ['cached', 'cached_tokens'],
  ['cost', 'cost'],
] as const satisfies readonly (readonly [string, keyof UsageAmounts])[];
const COUNTER_OF: ReadonlyMap<string, keyof UsageAmounts> = new Map(COUNTERS);
const ALWAYS: ReadonlySet<string> = new Set([
  'tokens',
  'requests',
  'saved_tokens',
] satisfies (keyof UsageAmounts)[]);

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Rows of a day by model and operation. */
export function readUsage(fields: Readonly<Record<string, string>>): Omit<UsageRow, 'day'>[] {
  const rows = new Map<string, Writable<Omit<UsageRow, 'day'>>>();
  for (const [field, value] of Object.entries(fields)) {
    const [model = '', operation, name = ''] = field.split('\n');
    const counter = COUNTER_OF.get(name);
    // Sums of the day have one line.
    if (operation === undefined || counter === undefined) continue;
    const key = `${model}\n${operation}`;
    const row = rows.get(key) ?? { model, operation, tokens: 0, requests: 0, saved_tokens: 0 };
    row[counter] = Number(value);
    rows.set(key, row);
  }
  return [...rows.values()];
}

/** Rows of a day with their origins. */
export function readDetails(fields: Readonly<Record<string, string>>): Omit<UsageDetail, 'day'>[] {
  return Object.entries(fields).map(([field, text]) => {
    const [model = '', operation = '', session = '', task = '', agent = '', ...user] = field.split('\n');
    const amounts: Writable<UsageAmounts> = { tokens: 0, requests: 0, saved_tokens: 0 };
    for (const [at, value] of text.split(' ').entries()) {
      const counter = COUNTERS[at]?.[1];
      if (counter !== undefined && (Number(value) > 0 || ALWAYS.has(counter)))
        amounts[counter] = Number(value);
    }
    return { model, operation, session, task, agent, user: user.join('\n'), ...amounts };
  });
}

/** Fields and values of rows, with the sums of the day. */
export function writeUsage(rows: readonly Omit<UsageRow, 'day'>[]): (string | number)[] {
  const fields = rows.flatMap((row) =>
    COUNTERS.flatMap(([name, counter]) => {
      const amount = row[counter] ?? 0;
      return amount > 0 || ALWAYS.has(counter) ? [`${row.model}\n${row.operation}\n${name}`, amount] : [];
    }),
  );
  const sum = (counter: keyof UsageAmounts) => rows.reduce((total, row) => total + (row[counter] ?? 0), 0);
  return [...fields, 'rows', rows.length, 'tokens', sum('tokens'), 'cost', sum('cost')];
}

/** Field and value of rows with their origins. */
export function writeDetails(rows: readonly Omit<UsageDetail, 'day'>[]): string[] {
  return rows.flatMap((row) => {
    const { model, operation, session, task, agent, user } = row;
    const counters = COUNTERS.map(([, counter]) => row[counter] ?? 0);
    return [[model, operation, session, task, agent, user].join('\n'), counters.join(' ')];
  });
}
