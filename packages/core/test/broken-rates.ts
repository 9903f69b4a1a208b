import type { Mistake } from './mistakes.js';

/** Mistakes with allowances, by method. */
export const brokenRates: Readonly<Record<string, Readonly<Record<string, Mistake>>>> = {
  'rates.lease': {
    'knows no limit': (params, original) => original({ ...params, burst: 1_000_000 }),
    'grants no burst': (params, original) => original({ ...params, burst: 1 }),
    'never refills': (params, original) => original({ ...params, perMinute: 1 }),
    'refills too fast': (params, original) =>
      original({ ...params, perMinute: Number(params['perMinute']) * 2 }),
    'takes one at a time': (params, original) => original({ ...params, wanted: 1 }),
    'grants more than is wanted': (params, original) => original({ ...params, wanted: 1_000 }),
    'shares the allowance between tenants': (params, original) => original({ ...params, tenantId: 'all' }),
    'shares the allowance between names': (params, original) => original({ ...params, name: 'some' }),
    'counts a repeat as one more': (params, original) =>
      original({ ...params, leaseId: crypto.randomUUID() }),
    'takes every lease for a repeat': (params, original) => original({ ...params, leaseId: 'same' }),
    'ignores the settings of the tenant': (params, original) =>
      original({ ...params, name: 'requests-of-any' }),
    'applies the settings of the tenant to everything': (params, original) =>
      original({ ...params, name: 'requests' }),
    'does not say when to come back': async (params, original) => ({
      ...(await original(params)),
      retryAfterMs: 0,
    }),
    'always says to come back later': async (params, original) => ({
      ...(await original(params)),
      retryAfterMs: 100,
    }),
    'does not say what is left': async (params, original) => ({ ...(await original(params)), remaining: 0 }),
    'says the rate that was asked for': async (params, original) => ({
      ...(await original(params)),
      perMinute: params['perMinute'],
      burst: params['burst'],
    }),
  },
};

/** Mistakes of `tenants.configure` with rates. */
export const brokenTenantRates: Readonly<Record<string, Mistake>> = {
  'knows no rates': (params, original) => original({ ...params, rates: undefined }),
  'never takes rates back': (params, original) =>
    original({ ...params, rates: params['rates'] ?? undefined }),
  'forgets the rate with a burst': (params, original) =>
    original({
      ...params,
      ...(params['rates'] && { rates: { requestsPerMinute: null, burst: null, ...params['rates'] } }),
    }),
};
