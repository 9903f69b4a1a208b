import { WakeSignal, type OverviewReport } from '@agent-orchestrator/core/server';
import { HISTORY_MS, type OverviewSampler } from '../metrics/overview-sampler.js';
import type { EventStream } from './event-stream.js';

/** The last hour of this process, then each new snapshot; a slow reader gets the newest one only. */
export async function sendOverview(
  stream: EventStream,
  overview: OverviewSampler,
  signal: AbortSignal,
): Promise<void> {
  const changed = new WakeSignal();
  let newest: OverviewReport | undefined;
  stream.message('overview_history', { interval_ms: HISTORY_MS, items: overview.history });
  const wake = () => changed.notify();
  const end = overview.follow((report) => {
    newest = report;
    wake();
  });
  signal.addEventListener('abort', wake, { once: true });
  try {
    while (!signal.aborted) {
      const report = newest;
      newest = undefined;
      if (report) {
        await stream.room();
        stream.message('overview', report);
      } else await changed.next;
    }
  } finally {
    end();
    signal.removeEventListener('abort', wake);
  }
}
