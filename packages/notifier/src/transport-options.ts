import { type Clock, OrchestratorError } from '@agent-orchestrator/core/notifier';
import { z } from 'zod';

/** Options of every network transport. */
export interface HubAddressOptions {
  /**
   * Address of the orchestrator: `https://…`, `wss://…`, or, without TLS, `http://…`, `ws://…`. The path of
   * the service socket or route is added if missing. Default: `ORCHESTRATOR_URL` of the environment.
   */
  readonly url?: string | undefined;
  /** The service's token. Default: `SERVICE_TOKEN` of the environment. */
  readonly token?: string | undefined;
  /** Refuses to send the token without TLS, except to this machine. Default: false, which warns. */
  readonly requireTls?: boolean | undefined;
  /** Timers of the transport; tests advance it manually. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** A time in ms within the range of a timer. */
export const timeMs = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31 - 1);

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/;
const TOKEN = /^[\x21-\x7e]{1,1024}$/;

/**
 * Address and credential of a path of the hub.
 *
 * @throws {OrchestratorError} `invalid_request` for a missing or invalid address or token, credentials in the
 *   address, or missing TLS where it is required.
 */
export function readHub(
  options: HubAddressOptions,
  wanted: { readonly scheme: 'ws' | 'http'; readonly path: string },
): { readonly url: string; readonly token: string } {
  const { ORCHESTRATOR_URL, SERVICE_TOKEN } = process.env;
  const url = readUrl(options.url ?? ORCHESTRATOR_URL);
  const secure = url.protocol === 'wss:' || url.protocol === 'https:';
  if (!secure && !LOOPBACK.test(url.hostname)) {
    const problem = `the token for ${url.host} is sent without TLS`;
    if (options.requireTls) throw unexpected('url', 'TLS', `an address without: ${problem}`);
    process.emitWarning(problem, { type: 'TaskNotifierWarning' });
  }
  const base = url.pathname.replace(/\/+$/, '');
  const path = base.endsWith(wanted.path) ? base : base + wanted.path;
  return {
    url: `${wanted.scheme}${secure ? 's' : ''}://${url.host}${path}`,
    token: readToken(options.token ?? SERVICE_TOKEN),
  };
}

function readUrl(text: string | undefined): URL {
  const expected = 'an address like "wss://host" (or ORCHESTRATOR_URL)';
  if (text === undefined) throw unexpected('url', expected, 'nothing');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^(?:ws|http)s?:$/.test(url.protocol)) throw unexpected('url', expected, 'something else');
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw unexpected('url', 'scheme, host and path only', 'more: the token belongs into "token"');
  }
  return url;
}

/** The value is not in the error: it may be a mistyped token. */
function readToken(token: string | undefined): string {
  const expected = 'the 1 to 1024 visible ASCII characters of the token (or SERVICE_TOKEN)';
  if (token === undefined || token === '') throw unexpected('token', expected, 'nothing');
  if (!TOKEN.test(token)) throw unexpected('token', expected, 'something else');
  return token;
}

function unexpected(option: string, expected: string, got: string): OrchestratorError {
  return new OrchestratorError('invalid_request', `${option}: expected ${expected}, got ${got}`);
}
