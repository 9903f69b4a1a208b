import { type Clock, pause } from '../../runtime/clock.js';
import { fullJitter } from '../../protocol/full-jitter.js';
import { clampDelay } from '../../protocol/retry-after.js';
import type { Random } from '../../runtime/random.js';
import type { Breakers, SendOutcome } from '../breakers.js';
import { type CallStage, failure, type OutboundCall, type SendResult, type Sender } from '../call-stage.js';

const MAX_SENDS = 5;
const BASE_MS = 200;
const CAP_MS = 5_000;
/** Upper limit of an honoured `Retry-After`. */
const MAX_RETRY_AFTER_MS = 30_000;

/**
 * Resends a call after a lost response or a transient failure, with the same `Idempotency-Key`: at most five sends, full
 * jitter, honours `Retry-After`, guarded by the circuit breakers.
 */
export function resend(clock: Clock, random: Random, breakers: Breakers): CallStage {
  return async (call, next) => {
    const { name } = call.service;
    let last: SendResult | undefined;
    for (let sent = 1; sent <= MAX_SENDS && !call.signal.aborted; sent += 1) {
      const pass = breakers.enter(call.call.tenant_id, name);
      if ('waitMs' in pass) {
        const message = `circuit breaker of service "${name}" is open after repeated failures; next try in ${pass.waitMs} ms`;
        return last ? giveUp(last) : failure({ code: 'service_unavailable', message, retryable: true });
      }
      last = await sendOnce(call, next, pass.report);
      if (last.kind === 'answer') return last;
      if (sent === MAX_SENDS) break;
      const jitter = fullJitter(random, sent, BASE_MS, CAP_MS);
      const requested = clampDelay(last.retryAfterMs) ?? 0;
      await pause(clock, Math.min(MAX_RETRY_AFTER_MS, Math.max(requested, jitter)), call.signal);
    }
    return last
      ? giveUp(last)
      : failure({
          code: 'cancelled',
          message: 'the call was cancelled before it was sent',
          retryable: false,
        });
  };
}

async function sendOnce(
  call: OutboundCall,
  next: Sender,
  report: (outcome: SendOutcome) => void,
): Promise<SendResult> {
  let outcome: SendOutcome = 'given_up';
  try {
    const result = await next(call);
    if (!call.signal.aborted) outcome = outcomeOf(result);
    return result;
  } finally {
    report(outcome);
  }
}

function outcomeOf(result: SendResult): SendOutcome {
  if (result.kind === 'answer') return 'succeeded';
  if (result.connection === undefined) return 'failed';
  return result.connection === 'none' ? 'unreachable' : 'unanswered';
}

function giveUp(last: SendResult): SendResult {
  return last.kind === 'transient' ? failure(last.error) : last;
}
