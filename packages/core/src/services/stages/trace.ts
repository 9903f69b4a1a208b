import { randomBytes } from 'node:crypto';
import type { CallStage } from '../call-stage.js';

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;

/** Each call is a span of its own in the caller's trace (W3C Trace Context); without one, a trace begins here. */
export const trace: CallStage = (call, next) => {
  const [, traceId, flags] = TRACEPARENT.exec(call.traceparent ?? '') ?? [];
  const span = randomBytes(8).toString('hex');
  const traceparent = `00-${traceId ?? randomBytes(16).toString('hex')}-${span}-${flags ?? '01'}`;
  return next({ ...call, traceparent });
};
