import { type Clock, pause } from '../../runtime/clock.js';
import { fullJitter } from '../../protocol/full-jitter.js';
import { clampDelay } from '../../protocol/retry-after.js';
import type { Random } from '../../runtime/random.js';
import type { Breakers, SendOutcome } from '../breakers.js';
import { type CallStage, failure, type OutboundCall, type SendResult, type Sender } from '../call-stage.js';

const MAX_SENDS = 5;
const BASE_MS = 200;
const CAP_MS = 5_000;
/** Longest `Retry-After` that is waited for here; the task's next attempt waits for a longer one. */
const MAX_RETRY_AFTER_MS = 30_000;

type Transient = SendResult & { readonly kind: 'transient' };

/**
 * Resends a call after a lost response or a transient failure, with the same `Idempotency-Key`: at most five sends, full
 * jitter, honours `Retry-After`, guarded by the circuit breakers.
 *
 * It owns the retries of what it has sent: a failure that comes out is `retryable` only if the service was not asked (no
 * connection, open breaker), or has asked for more time than is waited here in its first answer.
 */
export function resend(clock: Clock, random: Random, breakers: Breakers): CallStage {
  return async (call, next) => {
    const { name } = call.service;
    let last: Transient | undefined;
    let answers = 0;
    for (let sent = 1; sent <= MAX_SENDS && !call.signal.aborted; sent += 1) {
      const pass = breakers.enter(call.call.tenant_id, name);
      if ('waitMs' in pass) {
        if (last) return giveUp(last, answers);
        const message = `circuit breaker of service "${name}" is open after repeated failures; next try in ${pass.waitMs} ms`;
        const refused = { code: 'service_unavailable', message, retryable: true } as const;
        return failure({ ...refused, retryAfterMs: pass.waitMs });
      }
      const result = await sendOnce(call, next, pass.report);
      if (result.kind === 'answer') return result;
      last = result;
      if (result.connection !== 'none') answers += 1;
      const requested = clampDelay(result.retryAfterMs) ?? 0;
      if (sent === MAX_SENDS || requested > MAX_RETRY_AFTER_MS) break;
      await pause(clock, Math.max(requested, fullJitter(random, sent, BASE_MS, CAP_MS)), call.signal);
    }
    return last
      ? giveUp(last, answers)
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

/** @param answers number of sends that may have reached the service. */
function giveUp({ error, retryAfterMs }: Transient, answers: number): SendResult {
  const requested = clampDelay(retryAfterMs);
  const mayPass = answers === 0 || (answers === 1 && (requested ?? 0) > MAX_RETRY_AFTER_MS);
  const delay = requested === undefined ? {} : { retryAfterMs: requested };
  return failure({ ...error, ...delay, retryable: mayPass });
}
