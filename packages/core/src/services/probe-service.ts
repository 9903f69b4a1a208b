import type { Clock } from '../runtime/clock.js';
import { messageOf } from '../protocol/thrown.js';
import type { HttpClient } from './http-client.js';
import type { CheckedService } from './service-settings.js';

/** Time limit of a probe, ms. */
const PROBE_MS = 5_000;

/** Name of a service, and where it runs: over HTTP, in this process, or behind a sender of the host. */
export interface ServiceKind {
  readonly name: string;
  readonly in: 'http' | 'process' | 'sender';
}

/** Whether a service answers. Any HTTP status is an answer. */
export interface ServiceProbe {
  /** Absent where it cannot be asked: behind a sender of the host. */
  readonly reachable?: boolean;
  /** Status of the answer. */
  readonly status?: number;
  readonly latency_ms?: number;
  readonly detail: string;
}

/** `GET` of a service's URL, without its token, within five seconds. Counts for no breaker. */
export async function probeService(
  service: CheckedService,
  ports: { readonly client: HttpClient; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<ServiceProbe> {
  if (service.in === 'process') return { reachable: true, detail: 'runs in this process' };
  if (service.in === 'sender') return { detail: 'behind a sender of the host: it cannot be asked' };
  const { client, clock, signal } = ports;
  const began = clock.monotonic();
  try {
    const { statusCode: status, body } = await client.request(service.url, {
      method: 'GET',
      signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]),
    });
    const latency_ms = Math.round(clock.monotonic() - began);
    // Its body is of no interest, and may never end.
    body.on('error', () => {}).destroy();
    return { reachable: true, status, latency_ms, detail: `answers with status ${status}` };
  } catch (error) {
    signal.throwIfAborted();
    return { reachable: false, latency_ms: Math.round(clock.monotonic() - began), detail: messageOf(error) };
  }
}
