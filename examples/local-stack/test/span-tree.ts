import type { ReadableSpan } from '@opentelemetry/sdk-trace-node';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';

/** The spans of a trace as an indented tree, in the order of their starts: kind, name, duration. */
export function spanTree(spans: readonly ReadableSpan[]): string {
  const ids = new Set(spans.map((span) => span.spanContext().spanId));
  const inOrder = spans.toSorted((a, b) => startOf(a) - startOf(b));
  const childrenOf = (parent: string | undefined) =>
    inOrder.filter(({ parentSpanContext: from }) =>
      parent === undefined ? from === undefined || !ids.has(from.spanId) : from?.spanId === parent,
    );
  const lines: string[] = [];
  const add = (span: ReadableSpan, depth: number) => {
    const service = span.attributes['agent_orchestrator.service.name'];
    const to = span.name === 'POST' && typeof service === 'string' ? ` → ${service}` : '';
    const failed =
      span.status.code === SpanStatusCode.ERROR ? ` ! ${String(span.attributes['error.type'])}` : '';
    const kind = SpanKind[span.kind].toLowerCase().padEnd(8);
    lines.push(`${kind} ${'  '.repeat(depth)}${span.name}${to} (${msOf(span)} ms)${failed}`);
    for (const child of childrenOf(span.spanContext().spanId)) add(child, depth + 1);
  };
  for (const root of childrenOf(undefined)) add(root, 0);
  return lines.join('\n');
}

function startOf({ startTime: [seconds, nanos] }: ReadableSpan): number {
  return seconds * 1e6 + nanos / 1e3;
}

function msOf({ duration: [seconds, nanos] }: ReadableSpan): number {
  return Math.round(seconds * 1_000 + nanos / 1e6);
}
