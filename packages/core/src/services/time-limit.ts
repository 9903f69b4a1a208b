import { type ErrorCode, OrchestratorError } from '../protocol/errors.js';
import { isOrchestratorError, toTaskError } from '../protocol/thrown.js';
import { LazyAbort } from '../runtime/abort.js';
import type { Clock } from '../runtime/clock.js';
import { failure, type OutboundCall, type SendResult } from './call-stage.js';

/** Failures after which the call may be resent; all others are final. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set([
  'service_unavailable',
  'rate_limited',
  'timeout',
  'storage_unavailable',
]);

/**
 * Runs code of the host for one send, within the service's `timeoutMs` and the call's signal: `work` gets a signal for both, and
 * `untilStopped` ends a wait with them. A rejection becomes a failure.
 */
export async function withinTimeLimit(
  clock: Clock,
  { service, signal }: OutboundCall,
  work: (
    ended: { readonly signal: AbortSignal },
    untilStopped: <T>(part: T | Promise<T>) => Promise<T>,
  ) => Promise<SendResult>,
): Promise<SendResult> {
  const ended = new LazyAbort();
  let stop: (reason: Error) => void = () => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = (reason) => {
      ended.abort(reason);
      reject(reason);
    };
  });
  // May reject before or after it is raced.
  stopped.catch(() => undefined);
  const cancel = clock.after(service.timeoutMs, () => {
    const message = `service "${service.name}" has not responded within ${service.timeoutMs} ms`;
    stop(new OrchestratorError('timeout', message));
  });
  const onAbort = () => stop(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await work(ended, (part) => Promise.race([part, stopped]));
  } catch (error) {
    const stored = toTaskError(error, 'service_error');
    const retryAfterMs = isOrchestratorError(error) ? error.retryAfterMs : undefined;
    if (!stored.retryable || !TRANSIENT.has(stored.code)) return failure(stored);
    return { kind: 'transient', error: stored, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  } finally {
    cancel();
    signal.removeEventListener('abort', onAbort);
  }
}
