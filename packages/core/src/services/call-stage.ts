import type { TaskError } from '../protocol/errors.js';
import type { ServiceCall } from '../protocol/service-call.js';
import type { StepAnswer } from '../storage/call-journal.js';
import type { CheckedService } from './service-settings.js';

/** A call passing through the stages. */
export interface OutboundCall {
  readonly service: CheckedService;
  readonly call: ServiceCall;
  /** W3C trace context of the caller. */
  readonly traceparent?: string | undefined;
  /** Fires when the response is no longer awaited. */
  readonly signal: AbortSignal;
}

/** Result of one send: an answer, or a failure after which the same call may be resent. */
export type SendResult =
  | { readonly kind: 'answer'; readonly answer: StepAnswer }
  | {
      readonly kind: 'transient';
      readonly error: TaskError;
      readonly retryAfterMs?: number;
      /** `none`: no connection; `broke`: it broke, or timed out. Absent with a response. */
      readonly connection?: 'none' | 'broke';
    };

export type Sender = (call: OutboundCall) => Promise<SendResult>;
export type CallStage = (call: OutboundCall, next: Sender) => Promise<SendResult>;

/** Wraps a sender in stages, the first one outermost. */
export function throughStages(stages: readonly CallStage[], sender: Sender): Sender {
  return stages.reduceRight<Sender>((next, stage) => (call) => stage(call, next), sender);
}

export function failure(error: TaskError): SendResult {
  return { kind: 'answer', answer: { kind: 'outcome', outcome: { ok: false, error } } };
}
