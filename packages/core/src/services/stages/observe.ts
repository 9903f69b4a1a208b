import { toTaskError } from '../../protocol/thrown.js';
import type { Clock } from '../../runtime/clock.js';
import type { CallEnded, Hooks } from '../../runtime/hooks.js';
import type { CallStage, OutboundCall, SendResult } from '../call-stage.js';

/** Emits `callStarted` and `callEnded` for each call, also for one that ends by a rejection, if anything listens. */
export function observe(clock: Clock, hooks: Hooks): CallStage {
  return async (outbound, next) => {
    if (!hooks.has('callEnded') && !hooks.has('callStarted')) return next(outbound);
    hooks.emit('callStarted', aboutOf(outbound));
    const sentAt = clock.now();
    const emit = (ended: Ended) => {
      hooks.emit('callEnded', { ...aboutOf(outbound), durationMs: clock.now() - sentAt, ...ended });
    };
    let result: SendResult;
    try {
      result = await next(outbound);
    } catch (error) {
      // A stage of the host threw, or the call was cancelled while it waited.
      emit({ outcome: 'failed', error: toTaskError(error, 'service_error') });
      throw error;
    }
    emit(endedBy(result));
    return result;
  };
}

type Ended = Pick<CallEnded, 'outcome' | 'error' | 'cached'>;

function aboutOf({ service, call }: OutboundCall) {
  return {
    tenantId: call.tenant_id,
    taskId: call.task_id,
    callId: call.call_id,
    service: service.name,
    operation: call.operation,
    attempt: call.attempt,
  };
}

function endedBy(result: SendResult): Ended {
  if (result.kind === 'transient') return { outcome: 'failed', error: result.error };
  const { answer } = result;
  if (answer.kind === 'accepted') return { outcome: 'accepted' };
  if (answer.outcome.ok) return { outcome: 'completed', ...(answer.cached && { cached: true }) };
  return { outcome: 'failed', error: answer.outcome.error };
}
