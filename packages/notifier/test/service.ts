import { onTestFinished } from 'vitest';
import {
  type NotifierTransport,
  type NotifierEvents,
  TaskNotifier,
  type TaskNotifierOptions,
  WebSocketTransport,
  type WebSocketTransportOptions,
} from '../src/index.js';
import { TOKEN } from './real-hub.js';

/** Short times, so that no test waits long for a fact. */
const QUICK = {
  token: TOKEN,
  helloMs: 2_000,
  reconnectBaseMs: 5,
  reconnectCapMs: 50,
  retryBaseMs: 5,
  retryCapMs: 50,
} as const;

/** The notifier of the service `query`, which ends with the test. */
export function service(
  transport: NotifierTransport,
  options: Partial<TaskNotifierOptions> = {},
): TaskNotifier {
  const { retryBaseMs, retryCapMs } = QUICK;
  const notifier = new TaskNotifier({ serviceName: 'query', transport, retryBaseMs, retryCapMs, ...options });
  onTestFinished(() => notifier.close());
  return notifier;
}

export function overSocket(
  url: string,
  options: WebSocketTransportOptions = {},
  more: Partial<TaskNotifierOptions> = {},
): TaskNotifier {
  const { token, helloMs, reconnectBaseMs, reconnectCapMs } = QUICK;
  const transport = new WebSocketTransport({
    url,
    token,
    helloMs,
    reconnectBaseMs,
    reconnectCapMs,
    ...options,
  });
  return service(transport, more);
}

/** The next event of a kind. */
export function next<E extends keyof NotifierEvents>(
  notifier: TaskNotifier,
  event: E,
): Promise<NotifierEvents[E]> {
  return new Promise((resolve) => {
    const listener = (what: NotifierEvents[E]) => {
      notifier.off(event, listener);
      resolve(what);
    };
    notifier.on(event, listener);
  });
}

export const about = (task_id: string) => ({ task_id, tenant_id: 'acme' });
