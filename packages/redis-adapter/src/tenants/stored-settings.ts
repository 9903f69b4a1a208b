import type { ConfigureTenantParams, TenantRates, TenantSettings } from '@agent-orchestrator/core/storage';

/** How a setting is stored in the tenant's counters, where the scripts read it. */
interface Form {
  readonly field: string;
  write(value: unknown): string | number;
  read(text: string): unknown;
}

const number = (field: string): Form => ({ field, write: (value) => value as number, read: Number });
const flag = (field: string): Form => ({
  field,
  write: (value) => (value ? 1 : ''),
  read: (text) => text === '1',
});
/** Each between spaces, so that a script finds one by its text. */
const names = (field: string): Form => ({
  field,
  write: (value) => ` ${(value as readonly string[]).join(' ')} `,
  read: (text) => text.split(' ').filter(Boolean),
});
const json = (field: string): Form => ({ field, write: JSON.stringify, read: (text) => JSON.parse(text) });
/** Default is 1. */
const weight: Form = {
  field: 'weight',
  write: (value) => (value === 1 ? '' : (value as number)),
  read: Number,
};

const SETTINGS: Readonly<Record<Exclude<keyof TenantSettings, 'rates'>, Form>> = {
  weight,
  paused: flag('paused'),
  maxRunning: number('max_running'),
  maxWaiting: number('max_waiting'),
  maxStoredBytes: number('max_stored'),
  retentionMs: number('retention_ms'),
  types: names('types'),
  services: names('services'),
  budgets: json('budgets'),
};
const RATES: Readonly<Record<keyof TenantRates, Form>> = {
  requestsPerMinute: number('requests_per_minute'),
  burst: number('request_burst'),
  callsPerMinute: json('calls_per_minute'),
  tokensPerMinute: json('tokens_per_minute'),
};

/** Settings among the counters of a tenant. */
export function settingsOf(meta: ReadonlyMap<string, string>): TenantSettings {
  const rates = readForms(RATES, meta);
  return {
    weight: 1,
    paused: false,
    ...readForms(SETTINGS, meta),
    ...(Object.keys(rates).length > 0 && { rates }),
  };
}

function readForms(forms: Readonly<Record<string, Form>>, meta: ReadonlyMap<string, string>): object {
  const read: Record<string, unknown> = {};
  for (const [name, form] of Object.entries(forms)) {
    const text = meta.get(form.field);
    if (text !== undefined) read[name] = form.read(text);
  }
  return read;
}

/** Fields and values of a change; '' removes a field. */
export function settingChanges({
  rates,
  ...settings
}: Omit<ConfigureTenantParams, 'tenantId'>): (string | number)[] {
  const all =
    rates === null ? Object.fromEntries(Object.keys(RATES).map((name) => [name, null])) : (rates ?? {});
  return [...changesOf(SETTINGS, settings), ...changesOf(RATES, all)];
}

/** Fields and values of settings. */
export function storedSettings(settings: TenantSettings): (string | number)[] {
  const flat = settingChanges(settings);
  return flat.filter((_, at) => flat[at - (at % 2) + 1] !== '');
}

function changesOf(forms: Readonly<Record<string, Form>>, values: object): (string | number)[] {
  return Object.entries(forms).flatMap(([name, form]) => {
    const value = (values as Readonly<Record<string, unknown>>)[name];
    if (value === undefined) return [];
    return [form.field, value === null ? '' : form.write(value)];
  });
}
