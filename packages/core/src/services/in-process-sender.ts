import { type ErrorCode, OrchestratorError } from '../protocol/errors.js';
import { addCopy, addFieldCopy } from '../protocol/bounded-json.js';
import { jobIdSchema } from '../protocol/ids.js';
import type { JsonValue } from '../protocol/json.js';
import { readField } from '../protocol/portioned-json.js';
import { type ServiceCall, ServiceReply } from '../protocol/service-call.js';
import { isOrchestratorError, toTaskError } from '../protocol/thrown.js';
import { validate } from '../protocol/validation.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import { LazyAbort } from '../runtime/abort.js';
import { failure, type OutboundCall, type SendResult } from './call-stage.js';
import { usageOf } from './reported-usage.js';

/** Failures after which the call may be resent; all others are final. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set([
  'service_unavailable',
  'rate_limited',
  'timeout',
  'storage_unavailable',
]);

/** Calls the function of an in-process service, with the same time limit as an HTTP response. */
export async function sendInProcess(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  outbound: OutboundCall,
): Promise<SendResult> {
  const { service, call, signal } = outbound;
  if (service.in !== 'process') throw new TypeError(`${service.name} is not in this process`);
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
    const own = copyOf(call);
    const reading = readField(own, 'input', () => ({
      share: call.tenant_id,
      stage: 'runs',
      signal: ended.signal,
    }));
    if (reading) await Promise.race([reading, stopped]);
    return toResult(await Promise.race([service.run(own, ended), stopped]), outbound, logger);
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

/** A copy per send: changes made by the function affect neither the next send nor the next try of the step. */
function copyOf(call: ServiceCall): ServiceCall {
  const { call_id, task_id, tenant_id, session_id, operation, attempt, metadata } = call;
  const ids = { call_id, task_id, tenant_id, session_id };
  const own = { ...ids, operation, input: null as JsonValue, attempt, metadata: { ...metadata } };
  addFieldCopy(call, own, 'input', { what: 'the input of the call', tooLarge: 'payload_too_large' });
  return own;
}

function toResult(returned: unknown, { service, call }: OutboundCall, logger: Logger): SendResult {
  const reply = returned instanceof ServiceReply ? returned : undefined;
  if (reply?.kind === 'accepted') {
    const jobId = validate(jobIdSchema, reply.jobId, `${service.name}'s job_id`, 'invalid_response');
    return { kind: 'answer', answer: { kind: 'accepted', jobId } };
  }
  const rule = { what: `the result of ${service.name}`, invalid: 'invalid_response' } as const;
  const outcome: { ok: true; value: JsonValue } = { ok: true, value: null };
  addCopy(outcome, 'value', reply ? reply.result : returned, rule);
  const { tenant_id, task_id, call_id } = call;
  const used = usageOf(reply?.usage, logger, { service: service.name, tenant_id, task_id, call_id });
  return { kind: 'answer', answer: { kind: 'outcome', outcome, ...used } };
}
