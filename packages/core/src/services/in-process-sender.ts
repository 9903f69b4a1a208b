import { type ErrorCode, OrchestratorError } from '../protocol/errors.js';
import { toTaskError } from '../protocol/thrown.js';
import { copiedJson } from '../protocol/bounded-json.js';
import { acceptedSchema, ServiceReply, type Usage } from '../protocol/service-call.js';
import { validate } from '../protocol/validation.js';
import type { Clock } from '../clock.js';
import { LazyAbort } from '../shared-abort.js';
import { failure, type OutboundCall, type SendResult } from './call-stage.js';

/** Failures after which the same call may be sent again; all others are the service's last word. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'service_unavailable',
  'rate_limited',
  'timeout',
  'storage_unavailable',
]);

/** Calls the function of a service in this process, with the time limit that an HTTP answer has. */
export async function sendInProcess(
  clock: Clock,
  { service, call, signal }: OutboundCall,
): Promise<SendResult> {
  if (service.in !== 'process') throw new TypeError(`${service.name} is not in this process`);
  const ended = new LazyAbort();
  let stop: (reason: Error) => void = () => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = (reason) => {
      ended.abort(reason);
      reject(reason);
    };
  });
  // Nobody may be waiting for it yet, or any more.
  stopped.catch(() => undefined);
  const cancel = clock.after(service.timeoutMs, () => {
    const message = `${service.name} has not answered within ${service.timeoutMs} ms`;
    stop(new OrchestratorError('timeout', message));
  });
  const onAbort = () => stop(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return toResult(service.name, await Promise.race([service.run(call, ended), stopped]));
  } catch (error) {
    const stored = toTaskError(error, 'service_error');
    const retryAfterMs = error instanceof OrchestratorError ? error.retryAfterMs : undefined;
    if (!stored.retryable || !PASSING.has(stored.code)) return failure(stored);
    return { kind: 'again', error: stored, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  } finally {
    cancel();
    signal.removeEventListener('abort', onAbort);
  }
}

function toResult(service: string, returned: unknown): SendResult {
  if (!(returned instanceof ServiceReply)) return answered(service, returned, undefined);
  if (returned.kind === 'answered') return answered(service, returned.result, returned.usage);
  const { jobId } = returned;
  const { job_id } = validate(acceptedSchema, { job_id: jobId }, `${service}'s answer`, 'invalid_response');
  return { kind: 'answer', answer: { kind: 'accepted', jobId: job_id } };
}

function answered(service: string, result: unknown, usage: Usage | undefined): SendResult {
  const rule = { what: `the result of ${service}`, invalid: 'invalid_response' } as const;
  const outcome = { ok: true, value: copiedJson(result, rule) } as const;
  return { kind: 'answer', answer: { kind: 'outcome', outcome, ...(usage && { usage }) } };
}
