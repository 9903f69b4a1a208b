import type { StepFailure } from '../protocol/thrown.js';
import type { ServiceCall } from '../protocol/service-call.js';
import type { StepAnswer } from '../storage/call-journal.js';

/** How answers of an operation are cached. */
export interface OperationCacheSettings {
  /** Lifetime of an answer, ms: at most 30 days. Default 24 h. */
  readonly ttlMs?: number | undefined;
  /**
   * What an entry is of: the whole input, or each of its `texts`, as `embedding.embed` has them. Default: `text` for the operation
   * `embed` of the service `embedding`, else `call`.
   */
  readonly per?: 'call' | 'text' | undefined;
}

/** Which answers of a service are cached. */
export interface ServiceCacheSettings {
  /** By operation; answers of others are not cached. The answer of each must depend on tenant and input alone. */
  readonly operations: Readonly<Record<string, OperationCacheSettings>>;
}

/** The called service, with its limits. */
export interface CalledService {
  readonly name: string;
  readonly timeoutMs: number;
  readonly silenceMs: number;
  readonly concurrency: number;
  readonly cache?: ServiceCacheSettings | undefined;
}

/** A call passing through the stages. */
export interface OutboundCall {
  readonly service: CalledService;
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
      readonly error: StepFailure;
      readonly retryAfterMs?: number;
      /** `none`: no connection; `broke`: it broke, or timed out. Absent with a response. */
      readonly connection?: 'none' | 'broke';
    };

/** Sends one call. Rejections become failures of the call. */
export type Sender = (call: OutboundCall) => Promise<SendResult>;
/** Wraps the rest of the chain: may change the call, answer it without `next`, call `next` repeatedly, or observe the result. */
export type CallStage = (call: OutboundCall, next: Sender) => Promise<SendResult>;

/** Wraps a sender in stages, the first one outermost. */
export function throughStages(stages: readonly CallStage[], sender: Sender): Sender {
  return stages.reduceRight<Sender>((next, stage) => (call) => stage(call, next), sender);
}

export function failure(error: StepFailure): SendResult {
  return { kind: 'answer', answer: { kind: 'outcome', outcome: { ok: false, error } } };
}
