import { genAiCallAttributes, genAiUsageAttributes } from '../../tracing/gen-ai-attributes.js';
import { type Attributes, startSpan } from '../../tracing/spans.js';
import type { OutboundCall, Sender, SendResult } from '../call-stage.js';
import type { CheckedService } from '../service-settings.js';

/** A client span for each request to a service, resends included; the service gets it as its parent. */
export function tracedSend(service: CheckedService, sender: Sender): Sender {
  const fixed = service.in === 'http' ? httpAttributes(service.url) : {};
  return async (outbound) => {
    const { call } = outbound;
    const span = startSpan({
      name: service.in === 'http' ? 'POST' : `${service.name}.${call.operation}`,
      kind: 'client',
      parent: outbound.traceparent,
      attributes: () => ({ ...fixed, ...attributesOf(outbound) }),
    });
    if (!span) return sender(outbound);
    const { traceparent } = span;
    try {
      const result = await span.run(() => sender({ ...outbound, traceparent }));
      if (result.kind === 'answer' && result.answer.kind === 'outcome')
        span.set(genAiUsageAttributes(result.answer.usage));
      span.end(errorOf(result));
      return result;
    } catch (error) {
      span.end({ code: 'service_error' });
      throw error;
    }
  };
}

function attributesOf({ service, call }: OutboundCall): Attributes {
  const { operation, session_id: sessionId } = call;
  return {
    'agent_orchestrator.service.name': service.name,
    'agent_orchestrator.service.operation': operation,
    'agent_orchestrator.call.id': call.call_id,
    'agent_orchestrator.call.attempt': call.attempt,
    'agent_orchestrator.tenant.id': call.tenant_id,
    'messaging.message.id': call.task_id,
    ...genAiCallAttributes({ service: service.name, operation, sessionId, input: () => call.input }),
  };
}

/** Host and port only: a URL may hold credentials. */
function httpAttributes(url: string): Attributes {
  const { hostname, port, protocol } = new URL(url);
  return {
    'http.request.method': 'POST',
    'server.address': hostname,
    'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
  };
}

function errorOf(result: SendResult) {
  if (result.kind === 'transient') return result.error;
  return result.answer.kind === 'outcome' && !result.answer.outcome.ok
    ? result.answer.outcome.error
    : undefined;
}
