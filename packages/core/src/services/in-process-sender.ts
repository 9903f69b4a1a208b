import { addCopy, addFieldCopy } from '../protocol/bounded-json.js';
import { jobIdSchema } from '../protocol/ids.js';
import type { JsonValue } from '../protocol/json.js';
import { readField } from '../protocol/portioned-json.js';
import { type ServiceCall, ServiceReply } from '../protocol/service-call.js';
import { validate } from '../protocol/validation.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import type { OutboundCall, SendResult } from './call-stage.js';
import { usageOf } from './reported-usage.js';
import type { LocalService } from './service-settings.js';
import { withinTimeLimit } from './time-limit.js';

/** Calls the function of an in-process service, with the same time limit as an HTTP response. */
export function sendInProcess(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  service: LocalService,
  outbound: OutboundCall,
): Promise<SendResult> {
  const { call } = outbound;
  return withinTimeLimit(clock, outbound, async (ended, untilStopped) => {
    const own = copyOf(call);
    const reading = readField(own, 'input', () => ({
      share: call.tenant_id,
      stage: 'runs',
      signal: ended.signal,
    }));
    if (reading) await untilStopped(reading);
    return toResult(await untilStopped(service.run(own, ended)), outbound, logger);
  });
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
