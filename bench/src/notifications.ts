import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Orchestrator } from '@agent-orchestrator/core';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { table } from './measure.js';
import type { Order, LatencyReport } from './notifying-service.js';

const PROGRAM = fileURLToPath(new URL('notifying-service.js', import.meta.url));
const TOKENS = { loud: 'token-of-loud', quiet: 'token-of-quiet' } as const;
const SECONDS = 30;
const LOUD_A_SECOND = 10_000;
const QUIET_A_SECOND = 50;

async function registered(
  orchestrator: Orchestrator,
  service: keyof typeof TOKENS,
  count: number,
): Promise<string[]> {
  const ids: string[] = [];
  for (let task = 0; task < count; task += 1) {
    const taskId = crypto.randomUUID();
    await orchestrator.registry.register({
      tenantId: 'acme',
      taskId,
      type: 'bench',
      service,
      jobId: `job-${taskId}`,
    });
    ids.push(taskId);
  }
  return ids;
}

/** Runs an order in a service process of its own. */
async function carriedOut(
  order: Omit<Order, 'token'> & { readonly serviceName: keyof typeof TOKENS },
): Promise<LatencyReport> {
  const child = fork(PROGRAM);
  const report = new Promise<LatencyReport>((resolve, reject) => {
    child.once('message', (message) => resolve(message as LatencyReport));
    child.once('exit', (code) => reject(new Error(`the service ended with ${code}`)));
  });
  child.send({ ...order, token: TOKENS[order.serviceName] });
  return report;
}

/**
 * One service sends ten thousand notifications a second for half a minute, another one a few. Measures
 * losses, memory on both sides, and the ack latency of the quiet one, alone and beside the loud one.
 */
export async function notifications(): Promise<unknown> {
  const orchestrator = new Orchestrator();
  const server = new OrchestratorServer(orchestrator, {
    identities: createIdentities({
      apiKeys: [],
      serviceTokens: Object.entries(TOKENS).map(([service, token]) => ({ service, token })),
    }),
    serviceFramesPerSecond: 2 * LOUD_A_SECOND,
  });
  await server.listen(0);
  const { url } = server;
  const quiet = { url, serviceName: 'quiet', perSecond: QUIET_A_SECOND } as const;
  const alone = await carriedOut({
    ...quiet,
    tasks: await registered(orchestrator, 'quiet', 50),
    seconds: 10,
  });
  const loudTasks = await registered(orchestrator, 'loud', 3_000);
  const quietTasks = await registered(orchestrator, 'quiet', 50);
  globalThis.gc?.();
  const rss = process.memoryUsage().rss;
  const [loud, beside] = await Promise.all([
    carriedOut({ url, serviceName: 'loud', tasks: loudTasks, perSecond: LOUD_A_SECOND, seconds: SECONDS }),
    carriedOut({ ...quiet, tasks: quietTasks, seconds: SECONDS }),
  ]);
  const hubMiB = (process.memoryUsage().rss - rss) / 2 ** 20;
  let wrong = 0;
  for (const [task, taskId] of loudTasks.entries()) {
    const { status, result } = await orchestrator.registry.get({ tenantId: 'acme', taskId });
    if (status !== 'completed' || result !== task) wrong += 1;
  }
  await server.stop();
  const ms = (report: LatencyReport) => `${report.p50Ms.toFixed(1)} / ${report.p99Ms.toFixed(1)} ms`;
  const acked = Object.values(loud.acks).reduce((sum, count) => sum + count, 0);
  const rows = [
    ['what', 'figure'],
    [
      `notified by the loud one, ${LOUD_A_SECOND} a second for ${SECONDS} s and its outcomes`,
      String(loud.notified),
    ],
    [
      'acknowledged',
      `${acked} (${Object.entries(loud.acks)
        .map(([name, count]) => `${name} ${count}`)
        .join(', ')})`,
    ],
    ['refused by its outbox', String(loud.refused)],
    ['lost', String(loud.notified - acked - loud.refused)],
    [`of ${loudTasks.length} tasks, without their outcome`, String(wrong)],
    ['memory: hub, loud service', `${hubMiB.toFixed(0)} MiB, ${loud.rssGrowthMiB.toFixed(0)} MiB more`],
    ['ack of the loud one, p50 / p99', ms(loud)],
    ['ack of the quiet one, alone, p50 / p99', ms(alone)],
    ['ack of the quiet one, beside, p50 / p99', ms(beside)],
  ];
  console.log(table(rows));
  return { loud, alone, beside, hubMiB, wrong };
}
