import type { TenantStats } from '@agent-orchestrator/core';
import type { Terminal } from '../terminal/terminal.js';
import { localTime } from './local-time.js';

/** `TenantStats` in `--json` output. */
export function tenantStatsRecord({
  tenantId,
  settings,
  counts,
  ready,
  running,
  oldestReadyAt,
}: TenantStats) {
  return {
    tenant_id: tenantId,
    ready,
    running,
    counts,
    ...(oldestReadyAt !== undefined && { oldest_ready_at: new Date(oldestReadyAt).toISOString() }),
    weight: settings.weight,
    max_running: settings.maxRunning ?? null,
    paused: settings.paused,
  };
}

export const QUEUE_COLUMNS = ['tenant', 'ready', 'running', 'pending', 'oldest since', 'weight', 'limit', ''];

export function queueRow({ tenantId, settings, counts, ready, running, oldestReadyAt }: TenantStats) {
  return [
    tenantId,
    String(ready),
    String(running),
    String(counts.pending),
    oldestReadyAt === undefined ? '' : localTime(oldestReadyAt),
    String(settings.weight),
    limitText(settings.maxRunning),
    settings.paused ? 'paused' : '',
  ];
}

export const TENANT_COLUMNS = [
  ...['tenant', 'weight', 'limit', 'pending', 'processing', 'completed', 'failed', 'cancelled', ''],
];

export function tenantRow({ tenantId, settings, counts }: TenantStats) {
  const { pending, processing, completed, failed, cancelled } = counts;
  return [
    tenantId,
    String(settings.weight),
    limitText(settings.maxRunning),
    ...[pending, processing, completed, failed, cancelled].map(String),
    settings.paused ? 'paused' : '',
  ];
}

/** Prints a tenant after a change of its settings. */
export function printTenantStats(terminal: Terminal, stats: TenantStats): void {
  if (terminal.json) {
    terminal.record(tenantStatsRecord(stats));
    return;
  }
  const { tenantId, settings, ready, running } = stats;
  const held = settings.paused ? 'paused, ' : '';
  const limit = settings.maxRunning === undefined ? 'no limit' : `at most ${settings.maxRunning} running`;
  terminal.data(
    `tenant ${terminal.paint('bold', tenantId)}: ${held}weight ${settings.weight}, ${limit}; ready ${ready}, running ${running}`,
  );
}

function limitText(maxRunning: number | undefined): string {
  return maxRunning === undefined ? 'none' : String(maxRunning);
}
