import { OrchestratorError } from '@agent-orchestrator/core';
import { TaskNotifier, WebSocketTransport } from '@agent-orchestrator/notifier';
import type { ServiceDefinition } from '../service-definition.js';
import { ServiceHost } from '../service-host.js';
import { type OpenStore, restoreServices } from '../service-stores.js';
import { HttpGateway } from './http-gateway.js';
import { ServiceListener } from './service-listener.js';

/** Options of `startServiceProcess`. */
export interface ServiceProcessOptions {
  readonly definition: ServiceDefinition;
  /** URL of the orchestrator, such as `http://127.0.0.1:8000`. */
  readonly orchestratorUrl: string;
  /** Token of the service, for both directions. */
  readonly token: string;
  /** Default: any free port. */
  readonly port?: number;
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** Opens the store of the service's state, which is closed at the end. Default: its state is in memory. */
  readonly openStore?: OpenStore;
  /** Ends the wait for the store. */
  readonly signal?: AbortSignal;
  /** Interval of the heartbeat of a running job, ms. Default 20,000. */
  readonly aliveMs?: number;
  /** Default: `console.error`. */
  readonly report?: (error: unknown, where: string) => void;
}

/** A running service of the local stack, over HTTP. */
export interface ServiceProcess extends AsyncDisposable {
  readonly url: string;
  /**
   * Accepts no more calls, fails running jobs as retryable, and waits up to `drainMs` (default 2 s) for the
   * acks of the hub. Idempotent.
   */
  stop(options?: { readonly drainMs?: number }): Promise<void>;
}

/**
 * Runs one service definition behind HTTP, for an orchestrator elsewhere, with outcomes notified over a
 * socket.
 */
export async function startServiceProcess(options: ServiceProcessOptions): Promise<ServiceProcess> {
  const { definition, orchestratorUrl, token, port = 0, host = '127.0.0.1', openStore, aliveMs } = options;
  const { name } = definition;
  const report = options.report ?? ((error, where) => console.error(`[${where}]`, error));
  // Before it listens: a call must find everything that was acknowledged.
  const stores = openStore && (await restoreServices([definition], openStore, options));
  const gateway = new HttpGateway({ url: orchestratorUrl, token });
  const transport = new WebSocketTransport({ url: orchestratorUrl, token, reconnectCapMs: 5_000 });
  const notifier = new TaskNotifier({ serviceName: name, transport });
  notifier.on('outcome', (outcome) => gateway.received(outcome));
  notifier.on('refused', ({ error }) => report(error, `${name}: the orchestrator refused its token`));
  const service = new ServiceHost({
    definition,
    gateway,
    notifier,
    report,
    ...(aliveMs !== undefined && { aliveMs }),
  });
  const listener = new ServiceListener({ name, service, token, report });
  service.start();
  const end = async (drainMs: number) => {
    await listener.close();
    await service.stop();
    await notifier.drain({ signal: AbortSignal.timeout(drainMs) });
    await notifier.close();
    await stores?.close();
  };
  let ended: Promise<void> | undefined;
  const stop = ({ drainMs = 2_000 } = {}) => (ended ??= end(drainMs));
  try {
    const url = await listener.listen(port, host);
    return { url, stop, [Symbol.asyncDispose]: () => stop() };
  } catch (error) {
    await stop({ drainMs: 0 });
    throw new OrchestratorError('not_running', `${name} can't listen at ${host}:${port}`, { cause: error });
  }
}
