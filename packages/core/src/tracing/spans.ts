import {
  type Attributes,
  type Context,
  context,
  isSpanContextValid,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';

import type { JsonObject } from '../protocol/json.js';

export type { Attributes } from '@opentelemetry/api';

const SCOPE = '@agent-orchestrator/core';
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;
/** What the API delegates to until an SDK is registered. */
const NO_PROVIDER = new ProxyTracerProvider().getDelegate();

/** What a span is of. */
export interface SpanSpec {
  readonly name: string;
  /** Default `internal`. */
  readonly kind?: keyof typeof KINDS;
  /** W3C `traceparent` of its parent. Default: the active span. */
  readonly parent?: string | undefined;
  /** Never payloads, secrets or messages. Called only if an SDK is registered. */
  readonly attributes?: () => Attributes;
  /** Epoch ms. Default: now. */
  readonly startedAt?: number;
}

/** Whether an OpenTelemetry SDK is registered in this process. */
export function isTracing(): boolean {
  const provider = trace.getTracerProvider();
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegate() !== NO_PROVIDER;
}

/** A span that has begun; it ends once. */
export class TraceSpan {
  readonly #span: Span;
  readonly #context: Context;

  constructor(span: Span, parent: Context) {
    this.#span = span;
    this.#context = trace.setSpan(parent, span);
  }

  /** For what happens on account of it elsewhere. */
  get traceparent(): string {
    const { traceId, spanId, traceFlags } = this.#span.spanContext();
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  }

  /** Runs a function with this span as the active one. */
  run<T>(work: () => T): T {
    return context.with(this.#context, work);
  }

  set(attributes: Attributes): void {
    this.#span.setAttributes(attributes);
  }

  /** @param error its code only: a message may be that of a tenant. */
  end(error?: { readonly code: string }): void {
    if (error) {
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
      this.#span.setAttribute('error.type', error.code);
    }
    this.#span.end();
  }
}

/** Begins a span; `undefined`, at next to no cost, without an SDK. */
export function startSpan({
  name,
  kind = 'internal',
  parent,
  attributes,
  startedAt,
}: SpanSpec): TraceSpan | undefined {
  if (!isTracing()) return undefined;
  const from = parent === undefined ? context.active() : contextOf(parent);
  const options = {
    kind: KINDS[kind],
    ...(attributes && { attributes: attributes() }),
    ...(startedAt !== undefined && { startTime: startedAt }),
  };
  // Asked for each time: a tracer that was got before the SDK was registered may belong to another copy of the API.
  return new TraceSpan(trace.getTracer(SCOPE).startSpan(name, options, from), from);
}

/** Runs `work` in a span of its own, the active one meanwhile. `work` gets the span, or nothing without an SDK. */
export async function inSpan<T>(spec: SpanSpec, work: (span?: TraceSpan) => Promise<T>): Promise<T> {
  const span = startSpan(spec);
  if (!span) return work();
  try {
    const value = await span.run(() => work(span));
    span.end();
    return value;
  } catch (error) {
    const code: unknown = (error as { readonly code?: unknown } | undefined)?.code;
    span.end({ code: typeof code === 'string' ? code : 'internal_error' });
    throw error;
  }
}

/** `traceparent` of the active span, if an SDK has one. */
export function activeTraceparent(): string | undefined {
  const span = trace.getActiveSpan();
  if (!span || !isSpanContextValid(span.spanContext())) return undefined;
  return new TraceSpan(span, ROOT_CONTEXT).traceparent;
}

/** A notification with the span that sends it in its metadata. */
export function withTraceparent<T extends { readonly metadata?: JsonObject }>(about: T): T {
  const traceparent = activeTraceparent();
  return traceparent === undefined ? about : { ...about, metadata: { traceparent, ...about.metadata } };
}

/** Sets attributes of the active span. */
export function setOnActiveSpan(attributes: Attributes): void {
  trace.getActiveSpan()?.setAttributes(attributes);
}

/** The function with the span that is active now, whenever it is called. */
export function inThisSpan<A extends unknown[], R>(work: (...args: A) => R): (...args: A) => R {
  return context.bind(context.active(), work);
}

/** The caller's span as a parent; nothing for what is not a `traceparent`. */
function contextOf(traceparent: string): Context {
  const [, traceId = '', spanId = '', flags = ''] = TRACEPARENT.exec(traceparent) ?? [];
  const spanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
  return isSpanContextValid(spanContext) ? trace.setSpanContext(ROOT_CONTEXT, spanContext) : ROOT_CONTEXT;
}
