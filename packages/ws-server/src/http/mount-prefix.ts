import { OrchestratorError } from '@agent-orchestrator/core';
import { cutText, describe } from '@agent-orchestrator/core/protocol';

/** How an orchestrator is mounted in a host's server. */
export interface MountOptions {
  /**
   * Mount path in the host, like `/orchestrator`. Default: none; `toNodeHandler` takes the difference between
   * `url` and `originalUrl`.
   */
  readonly prefix?: string;
}

const PATH = /^(?:\/[\w.~%!$&'()*+,;=:@-]+)*$/;

/**
 * Mount path of the options, `undefined` without one.
 *
 * @throws {OrchestratorError} `invalid_request` for anything but a path without a slash at its end.
 */
export function readPrefix({ prefix }: MountOptions): string | undefined {
  const value: unknown = prefix;
  if (value === undefined || (typeof value === 'string' && PATH.test(value))) return value;
  const got = typeof value === 'string' ? `"${cutText(value, 100)}"` : describe(value);
  throw new OrchestratorError(
    'invalid_request',
    `prefix: expected a path like "/orchestrator", without a slash at its end, got ${got}`,
  );
}
