// A service of the benchmark in a process of its own: reports progress at a rate, then every outcome.
import { TaskNotifier, WebSocketTransport } from '@agent-orchestrator/notifier';

export interface Order {
  readonly url: string;
  readonly token: string;
  readonly serviceName: string;
  readonly tasks: readonly string[];
  readonly perSecond: number;
  readonly seconds: number;
}

export interface LatencyReport {
  readonly notified: number;
  readonly refused: number;
  readonly acks: Readonly<Record<string, number>>;
  /** Latency from `notify…` to the ack, ms: median and 99th percentile. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rssGrowthMiB: number;
}

const TICK_MS = 10;

async function run(order: Order): Promise<LatencyReport> {
  const { url, token, serviceName, tasks } = order;
  const notifier = new TaskNotifier({
    serviceName,
    transport: new WebSocketTransport({ url, token }),
    window: 1_000,
  });
  await notifier.ready();
  const rss = process.memoryUsage().rss;
  const acks: Record<string, number> = {};
  const latencies: number[] = [];
  let notified = 0;
  let refused = 0;
  const count = (sent: Promise<{ readonly outcome: string }>) => {
    const began = performance.now();
    notified += 1;
    sent.then(
      ({ outcome }) => {
        acks[outcome] = (acks[outcome] ?? 0) + 1;
        if (latencies.length < 1_000_000) latencies.push(performance.now() - began);
      },
      () => (refused += 1),
    );
  };
  const about = (task: number) => ({ task_id: `job-${tasks[task]}`, tenant_id: 'acme' });
  const began = performance.now();
  for (let sent = 0; ;) {
    const elapsed = performance.now() - began;
    if (elapsed >= order.seconds * 1_000) break;
    for (const due = (elapsed / 1_000) * order.perSecond; sent < due; sent += 1) {
      count(
        notifier.notifyTaskStatus({ ...about(sent % tasks.length), status: 'working', details: { sent } }),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await notifier.drain({ signal: AbortSignal.timeout(60_000) });
  for (let task = 0; task < tasks.length; task += 1) {
    count(notifier.notifyTaskCompletion({ ...about(task), result: task }));
    if (task % 5_000 === 4_999) await notifier.drain();
  }
  await notifier.drain({ signal: AbortSignal.timeout(60_000) });
  await notifier.close();
  latencies.sort((a, b) => a - b);
  const at = (part: number) => latencies[Math.floor(latencies.length * part)] ?? Number.NaN;
  const rssGrowthMiB = (process.memoryUsage().rss - rss) / 2 ** 20;
  return { notified, refused, acks, p50Ms: at(0.5), p99Ms: at(0.99), rssGrowthMiB };
}

process.once('message', (order) => {
  void run(order as Order).then((report) => process.send?.(report, () => process.disconnect()));
});
