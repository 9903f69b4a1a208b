import { isScope, SCOPES } from '@agent-orchestrator/core/protocol';
import { ConfigurationError } from '../errors/errors.js';
import { OWN_SETTINGS } from '../storage/own-settings.js';

type Env = Readonly<Record<string, string | undefined>>;

const OWN_VARIABLES = Object.fromEntries(
  OWN_SETTINGS.flatMap(({ name, variable, password }) => [
    [name, variable],
    [password.name, password.variable],
  ]),
);

/** Environment variable of each setting. */
export const VARIABLES: Readonly<Record<string, string>> = {
  url: 'ORCHESTRATOR_URL',
  host: 'ORCHESTRATOR_HOST',
  port: 'ORCHESTRATOR_PORT',
  apiKeys: 'ORCHESTRATOR_API_KEYS',
  serviceTokens: 'ORCHESTRATOR_SERVICE_TOKENS',
  apiKey: 'ORCHESTRATOR_API_KEY',
  operatorToken: 'ORCHESTRATOR_OPERATOR_TOKEN',
  operatorReadToken: 'ORCHESTRATOR_OPERATOR_READ_TOKEN',
  llm: 'ORCHESTRATOR_LLM_URL',
  log: 'ORCHESTRATOR_LOG',
  storage: 'ORCHESTRATOR_STORAGE',
  role: 'ORCHESTRATOR_ROLE',
  ...OWN_VARIABLES,
};

/** Settings whose variable is the value itself. */
const PLAIN = [
  ...['url', 'host', 'port', 'apiKey', 'operatorToken', 'operatorReadToken', 'storage', 'role'],
  ...Object.keys(OWN_VARIABLES),
];

/** Settings of the environment. An empty variable counts as unset. */
export function fromEnvironment(env: Env, file: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const name of PLAIN) {
    const value = env[VARIABLES[name] as string];
    if (value) found[name] = value;
  }
  const { ORCHESTRATOR_API_KEYS: keys, ORCHESTRATOR_SERVICE_TOKENS: tokens } = env;
  if (keys) found['apiKeys'] = apiKeys(keys);
  if (tokens) found['serviceTokens'] = serviceTokens(tokens);
  const { ORCHESTRATOR_LLM_URL: url, ORCHESTRATOR_LLM_KEY: key, ORCHESTRATOR_LLM_MODEL: model } = env;
  if (url || key || model) {
    const given = { ...(url && { url }), ...(key && { key }), ...(model && { model }) };
    found['llm'] = { ...(file['llm'] as object | undefined), ...given };
  }
  const { ORCHESTRATOR_LOG: level, ORCHESTRATOR_LOG_FORMAT: format } = env;
  if (level || format) {
    const given = { ...(level && { level }), ...(format && { format }) };
    found['log'] = { ...(file['log'] as object | undefined), ...given };
  }
  return found;
}

/** A key may contain "=", a tenant id and scopes may not. */
function apiKeys(text: string): Record<string, unknown> {
  const name = 'ORCHESTRATOR_API_KEYS';
  const found: Record<string, unknown> = {};
  for (const [index, [key, holder]] of pairs(name, '<key>=<tenant>[:<scopes>]', text, 'last').entries()) {
    if (Object.hasOwn(found, key)) {
      throw new ConfigurationError(
        `${name}: expected each key once, got the one at position ${index + 1} twice`,
      );
    }
    found[key] = holderOf(holder, `${name}, position ${index + 1}`);
  }
  return found;
}

/** `acme`, or `acme:chat+tasks`. */
function holderOf(text: string, place: string): unknown {
  const at = text.indexOf(':');
  if (at < 0) return text;
  const scopes = text.slice(at + 1).split('+');
  if (scopes.every(isScope)) return { tenant: text.slice(0, at), scopes: [...new Set(scopes)] };
  throw new ConfigurationError(
    `${place}: expected scopes after ":", some of ${SCOPES.join(', ')}, joined by "+"; got something else`,
  );
}

/** A token may contain "=", a service name may not. A repeated service has two tokens, during rotation. */
function serviceTokens(text: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const [service, token] of pairs('ORCHESTRATOR_SERVICE_TOKENS', '<service>=<token>', text, 'first')) {
    (found[service] ??= []).push(token);
  }
  return found;
}

function pairs(name: string, form: string, text: string, split: 'first' | 'last'): [string, string][] {
  return text.split(',').map((part, index) => {
    const pair = part.trim();
    const at = split === 'last' ? pair.lastIndexOf('=') : pair.indexOf('=');
    if (at < 1 || at === pair.length - 1) {
      throw new ConfigurationError(
        `${name}: expected ${form}[,…], got something else at position ${index + 1}`,
      );
    }
    return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
  });
}
