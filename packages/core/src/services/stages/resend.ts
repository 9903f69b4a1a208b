import { type Clock, pause } from '../../clock.js';
import { fullJitter } from '../../protocol/full-jitter.js';
import { saneDelay } from '../../protocol/retry-after.js';
import type { Random } from '../../random.js';
import { Breaker } from '../breaker.js';
import { type CallStage, failure, type OutboundCall, type SendResult, type Sender } from '../call-stage.js';

const SENDS = 5;
const BASE_MS = 200;
const CAP_MS = 5_000;
/** A service may not keep a call waiting for longer than this by `Retry-After`. */
const MAX_RETRY_AFTER_MS = 30_000;

/**
 * Sends a call whose answer was lost or that was refused for now again, with the same `Idempotency-Key`: five times
 * in all, full jitter, `Retry-After` honoured, behind a circuit breaker for each service.
 *
 * @param breakers by service; made when a service is first called.
 * @param opened is told of each service whose breaker opens.
 */
export function resend(
  clock: Clock,
  random: Random,
  breakers: Map<string, Breaker>,
  opened: (service: string) => void,
): CallStage {
  return async (call, next) => {
    const { name } = call.service;
    let breaker = breakers.get(name);
    if (!breaker) {
      breaker = new Breaker(clock, { onOpen: () => opened(name) });
      breakers.set(name, breaker);
    }
    let last: SendResult | undefined;
    for (let sent = 1; sent <= SENDS && !call.signal.aborted; sent += 1) {
      if (!breaker.tryPass()) {
        const message = `${name} failed too often; not called again for ${breaker.waitMs} ms`;
        return last ? giveUp(last) : failure({ code: 'service_unavailable', message, retryable: true });
      }
      last = await sendOnce(call, next, breaker);
      if (last.kind === 'answer') return last;
      if (sent === SENDS) break;
      const jitter = fullJitter(random, sent, BASE_MS, CAP_MS);
      const asked = saneDelay(last.retryAfterMs) ?? 0;
      await pause(clock, Math.min(MAX_RETRY_AFTER_MS, Math.max(asked, jitter)), call.signal);
    }
    return last
      ? giveUp(last)
      : failure({ code: 'cancelled', message: 'the call was given up', retryable: false });
  };
}

async function sendOnce(call: OutboundCall, next: Sender, breaker: Breaker): Promise<SendResult> {
  const result = await next(call);
  if (call.signal.aborted) breaker.gaveUp();
  else if (result.kind === 'again') breaker.failed();
  else breaker.succeeded();
  return result;
}

function giveUp(last: SendResult): SendResult {
  return last.kind === 'again' ? failure(last.error) : last;
}
