import { InProcessTransport, type Orchestrator, TaskNotifier } from '@agent-orchestrator/core';
import { createLocalStack, type LocalStack, type LocalStackOptions } from './local-stack.js';
import type { Gateway } from './service-definition.js';

/** Maximum wait of `stop` for the acks of the last outcomes, ms. */
const DRAIN_MS = 5_000;

/**
 * Adds the eight services to an orchestrator in this process. They call each other through its gateway, and
 * report outcomes through a notifier each. Stop the stack before the orchestrator.
 */
export function addLocalStack(
  orchestrator: Orchestrator,
  options: Omit<LocalStackOptions, 'gatewayFor' | 'notifierFor'> = {},
): LocalStack {
  const gatewayFor = (service: string): Gateway => ({
    call: ({ signal = new AbortController().signal, ...request }) =>
      orchestrator.gateway.call({ from: { service }, ...request }, { signal }),
  });
  const notifiers: TaskNotifier[] = [];
  const notifierFor = (serviceName: string) => {
    const transport = new InProcessTransport(orchestrator.hub(serviceName));
    const notifier = new TaskNotifier({ serviceName, transport });
    notifiers.push(notifier);
    return notifier;
  };
  const stack = createLocalStack({ ...options, gatewayFor, notifierFor });
  for (const [name, service] of Object.entries(stack.services)) orchestrator.service(name, service);
  const stop = async () => {
    await stack.stop();
    const signal = AbortSignal.timeout(DRAIN_MS);
    await Promise.all(notifiers.map((notifier) => notifier.drain({ signal })));
    await Promise.all(notifiers.map((notifier) => notifier.close()));
  };
  return { ...stack, stop, [Symbol.asyncDispose]: stop };
}
