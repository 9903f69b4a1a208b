import type { TenantHandle } from '@agent-orchestrator/core';
import { isTracing, startSpan } from '@agent-orchestrator/core/server';
import type { EventFrame } from '../events/event-frame.js';

/** One span for a final event, however many clients get it: child of its task's span, which is read only if an SDK is registered. */
export function traceDelivery(tenant: TenantHandle, { event }: EventFrame, clients: number): void {
  if (!isTracing() || !('task_id' in event) || event.task_id === undefined) return;
  const startedAt = Date.now();
  const name = `deliver ${event.event}`;
  tenant.tasks.get(event.task_id).then(
    ({ task_id, metadata: { traceparent } }) =>
      startSpan({
        name,
        kind: 'producer',
        parent: traceparent,
        startedAt,
        attributes: () => ({
          'messaging.system': 'agent_orchestrator',
          'messaging.destination.name': 'clients',
          'messaging.operation.name': 'deliver',
          'messaging.operation.type': 'send',
          'messaging.message.id': task_id,
          'agent_orchestrator.clients': clients,
        }),
      })?.end(),
    // The task was purged, or the storage is away: the event was delivered all the same.
    () => undefined,
  );
}
