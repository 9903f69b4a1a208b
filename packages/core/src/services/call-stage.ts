import type { TaskError } from '../protocol/errors.js';
import type { ServiceCall } from '../protocol/service-call.js';
import type { StepAnswer } from '../storage/call-journal.js';
import type { CheckedService } from './service-settings.js';

/** A call on its way through the stages. */
export interface OutboundCall {
  readonly service: CheckedService;
  readonly call: ServiceCall;
  /** W3C trace context of whoever asks. */
  readonly traceparent?: string | undefined;
  /** Fires when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** What sending once came to: an answer, or a failure after which the same call may be sent again. */
export type SendResult =
  | { readonly kind: 'answer'; readonly answer: StepAnswer }
  | {
      readonly kind: 'again';
      readonly error: TaskError;
      readonly retryAfterMs?: number;
      /** `none` could be made, whatever was asked; or it `broke`, or said nothing in time. Absent with an answer. */
      readonly connection?: 'none' | 'broke';
    };

export type Sender = (call: OutboundCall) => Promise<SendResult>;
export type CallStage = (call: OutboundCall, next: Sender) => Promise<SendResult>;

/** The stages around a sender, the first one outermost. */
export function throughStages(stages: readonly CallStage[], sender: Sender): Sender {
  return stages.reduceRight<Sender>((next, stage) => (call) => stage(call, next), sender);
}

export function failure(error: TaskError): SendResult {
  return { kind: 'answer', answer: { kind: 'outcome', outcome: { ok: false, error } } };
}
