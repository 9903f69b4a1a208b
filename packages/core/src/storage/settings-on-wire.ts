import type { TenantRates, TenantSettings } from './tenant-store.js';

/** Names of settings on the wire, and in the code. */
const SETTINGS = {
  weight: 'weight',
  paused: 'paused',
  max_running: 'maxRunning',
  max_waiting: 'maxWaiting',
  max_stored_bytes: 'maxStoredBytes',
  retention_ms: 'retentionMs',
  types: 'types',
  services: 'services',
  budgets: 'budgets',
} as const satisfies Readonly<Record<string, Exclude<keyof TenantSettings, 'rates'>>>;
const RATES = {
  requests_per_minute: 'requestsPerMinute',
  burst: 'burst',
  calls_per_minute: 'callsPerMinute',
  tokens_per_minute: 'tokensPerMinute',
} as const satisfies Readonly<Record<string, keyof TenantRates>>;

type Names = Readonly<Record<string, string>>;
type Wire<N extends Names, T> = { readonly [K in keyof N]?: N[K] extends keyof T ? T[N[K]] : never };

/** Rates as they are written. */
type RatesOnWire = Wire<typeof RATES, TenantRates>;
/** Settings as they are written: in answers, and in exports. */
export type SettingsOnWire = Wire<typeof SETTINGS, TenantSettings> & {
  readonly weight: number;
  readonly paused: boolean;
  readonly rates?: RatesOnWire;
};

/** Settings under their names on the wire; absent ones stay absent. */
export function settingsToWire({ rates, ...settings }: TenantSettings): SettingsOnWire {
  const named = renamed(settings, reversed(SETTINGS)) as unknown as SettingsOnWire;
  return rates ? { ...named, rates: renamed(rates, reversed(RATES)) } : named;
}

/** Settings, or a change of them, in which `null` stays. */
export function settingsFromWire(wire: object): Record<string, unknown> {
  const { rates, ...settings } = wire as { readonly rates?: object | null };
  const named = renamed(settings, SETTINGS);
  return rates === undefined ? named : { ...named, rates: rates && renamed(rates, RATES) };
}

/** Every setting that can be absent; absent ones are `null`. */
export function allOnWire(settings: TenantSettings): Record<string, unknown> {
  const { rates, ...wire } = settingsToWire(settings);
  return { ...withNulls(wire, SETTINGS), rates: withNulls(rates ?? {}, RATES) };
}

function withNulls(values: object, names: Names): Record<string, unknown> {
  return { ...Object.fromEntries(Object.keys(names).map((name) => [name, null])), ...values };
}

/** Those that have a name, under their other name. */
function renamed(values: object, names: Names): Record<string, unknown> {
  const named: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    const other = Object.hasOwn(names, name) ? names[name] : undefined;
    if (other !== undefined && value !== undefined) named[other] = value;
  }
  return named;
}

function reversed(names: Names): Names {
  return Object.fromEntries(Object.entries(names).map(([wire, name]) => [name, wire]));
}
