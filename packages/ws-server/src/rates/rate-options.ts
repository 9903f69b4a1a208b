import { OrchestratorError } from '@agent-orchestrator/core';
import { describe, MAX_RATE } from '@agent-orchestrator/core/protocol';
import { defaultBurst, type Rate } from '@agent-orchestrator/core/storage';

/** A limit of requests. */
export interface RateLimit {
  /** On average. */
  readonly perMinute: number;
  /** At once, after a pause. Default: what the rate allows in ten seconds. */
  readonly burst?: number | undefined;
}

/** Limits of requests. Without one, or with `false`, nothing is limited. */
export interface RateOptions {
  /**
   * Requests of one tenant, over all processes on its storage; settings of a tenant (`orchestrator.tenants.configure`) replace
   * it. A batch is one request.
   */
  readonly tenant?: RateLimit | false | undefined;
  /** Requests of one API key, at this process. */
  readonly credential?: RateLimit | false | undefined;
  /** Requests from one address (IPv6: one /64), at this process, those without a credential included. */
  readonly address?: RateLimit | false | undefined;
  /** Failed logins from one address (IPv6: one /64), at this process: HTTP, sockets and tickets. */
  readonly failedLogins?: RateLimit | false | undefined;
}

/** Limits with their bursts. */
export type Rates = { readonly [K in keyof RateOptions]?: Rate };

const NAMES = ['tenant', 'credential', 'address', 'failedLogins'] as const;

/** @throws {OrchestratorError} `invalid_request` for an unknown or invalid limit. */
export function readRates(options: RateOptions | undefined): Rates {
  if (options === undefined) return {};
  const refuse = (path: string, expected: string, got: unknown): never => {
    throw new OrchestratorError('invalid_request', `${path}: expected ${expected}, got ${describe(got)}`);
  };
  if (typeof options !== 'object' || (options as unknown) === null)
    return refuse('rates', 'an object', options);
  for (const name of Object.keys(options))
    if (!(NAMES as readonly string[]).includes(name)) refuse('rates', `only ${NAMES.join(', ')}`, name);
  const whole = (path: string, value: unknown): number =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_RATE
      ? (value as number)
      : refuse(path, `a whole number from 1 to ${MAX_RATE}`, value);
  const rates: { -readonly [K in keyof Rates]: Rate } = {};
  for (const name of NAMES) {
    const limit = options[name];
    if (limit === undefined || limit === false) continue;
    const perMinute = whole(`rates.${name}.perMinute`, (limit as Partial<RateLimit> | null)?.perMinute);
    const { burst = defaultBurst(perMinute) } = limit;
    rates[name] = { perMinute, burst: whole(`rates.${name}.burst`, burst) };
  }
  return rates;
}
