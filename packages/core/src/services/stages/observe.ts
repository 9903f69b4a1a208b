import type { Clock } from '../../runtime/clock.js';
import type { CallEnded, Hooks } from '../../runtime/hooks.js';
import type { CallStage, OutboundCall, SendResult } from '../call-stage.js';

/** Emits `callEnded` for each call, if anything listens. */
export function observe(clock: Clock, hooks: Hooks): CallStage {
  return async (outbound, next) => {
    if (!hooks.has('callEnded')) return next(outbound);
    const sentAt = clock.now();
    const result = await next(outbound);
    hooks.emit('callEnded', callEnded(outbound, result, clock.now() - sentAt));
    return result;
  };
}

function callEnded({ service, call }: OutboundCall, result: SendResult, durationMs: number): CallEnded {
  const about = {
    tenantId: call.tenant_id,
    taskId: call.task_id,
    callId: call.call_id,
    service: service.name,
    operation: call.operation,
    attempt: call.attempt,
    durationMs,
  };
  if (result.kind === 'transient') return { ...about, outcome: 'failed', error: result.error };
  const { answer } = result;
  if (answer.kind === 'accepted') return { ...about, outcome: 'accepted' };
  if (answer.outcome.ok) return { ...about, outcome: 'completed' };
  return { ...about, outcome: 'failed', error: answer.outcome.error };
}
