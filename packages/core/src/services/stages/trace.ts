import { randomBytes } from 'node:crypto';
import { isTracing } from '../../tracing/spans.js';
import type { CallStage } from '../call-stage.js';

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;

/** Makes each call a span in the caller's trace (W3C Trace Context), or starts a new trace. */
export const trace: CallStage = (call, next) => {
  // Then each send is a span of its own.
  if (isTracing()) return next(call);
  const [, traceId, flags] = TRACEPARENT.exec(call.traceparent ?? '') ?? [];
  const fresh = randomBytes(24).toString('hex');
  const traceparent = `00-${traceId ?? fresh.slice(16)}-${fresh.slice(0, 16)}-${flags ?? '01'}`;
  return next({ ...call, traceparent });
};
