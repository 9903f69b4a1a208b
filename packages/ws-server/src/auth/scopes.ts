import { OrchestratorError } from '@agent-orchestrator/core';
import { type Scope, SCOPES } from '@agent-orchestrator/core/protocol';

const ALL: ReadonlySet<Scope> = new Set(SCOPES);
const OPENED_BY_DEFAULT: readonly Scope[] = ['chat', 'tasks'];

/**
 * Rights of an identity's set: all without one. A set without `chat`, `tasks`, `manage` and `admin` keeps `chat` and
 * `tasks`. Other members, such as scopes of the host, are ignored.
 */
export function effectiveScopes(given: ReadonlySet<string> | undefined): ReadonlySet<Scope> {
  if (given === undefined) return ALL;
  const known = SCOPES.filter((scope) => given.has(scope));
  const opens = known.some((scope) => scope !== 'plans');
  return new Set(opens ? known : [...known, ...OPENED_BY_DEFAULT]);
}

interface Holder {
  readonly scopes: ReadonlySet<Scope>;
}

/** Whether a caller has one of the `required` scopes. */
export function hasScope({ scopes }: Holder, required: readonly Scope[]): boolean {
  return required.some((scope) => scopes.has(scope));
}

/** @throws {OrchestratorError} `forbidden` for a caller without any of the `required` scopes. */
export function refuseWithoutScope(caller: Holder, required: readonly Scope[]): void {
  if (!hasScope(caller, required)) throw withoutScope(required);
}

/** Refusal of a caller without any of the `required` scopes. */
export function withoutScope(required: readonly Scope[]): OrchestratorError {
  const names = required.map((scope) => `"${scope}"`).join(' or ');
  return new OrchestratorError(
    'forbidden',
    `expected an API key with the scope ${names}, got one without it`,
  );
}
