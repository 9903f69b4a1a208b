import { type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import type { ClientIdentity } from '../auth/identities.js';

/**
 * A plan names the services to call, which requires the scope `plans`.
 *
 * @throws {OrchestratorError} `forbidden` for a plan without the scope.
 */
export function refusePlanWithoutScope(caller: ClientIdentity, submission: JsonValue): void {
  if (caller.scopes.has('plans') || !bringsPlan(submission)) return;
  throw new OrchestratorError('forbidden', 'submitting a plan takes an API key with the scope "plans"');
}

function bringsPlan(submission: JsonValue): boolean {
  if (!isObject(submission) || submission['type'] !== 'workflow') return false;
  const payload = submission['payload'];
  return isObject(payload) && payload['plan'] !== undefined && payload['plan'] !== null;
}

function isObject(value: JsonValue | undefined): value is { [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
