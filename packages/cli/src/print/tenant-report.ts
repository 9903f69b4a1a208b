import type { TenantReport } from '@agent-orchestrator/core/server';
import type { Terminal } from '../terminal/terminal.js';
import { localTime } from './local-time.js';

export const QUEUE_COLUMNS = ['tenant', 'ready', 'running', 'pending', 'oldest since', 'weight', 'limit', ''];

export function queueRow(tenant: TenantReport) {
  const { counts, ready, running, oldest_ready_at: oldestReadyAt } = tenant;
  return [
    tenant.tenant_id,
    String(ready),
    String(running),
    String(counts.pending),
    oldestReadyAt === undefined ? '' : localTime(oldestReadyAt),
    String(tenant.weight),
    limitText(tenant),
    tenant.paused ? 'paused' : '',
  ];
}

export const TENANT_COLUMNS = [
  ...['tenant', 'weight', 'limit', 'pending', 'processing', 'completed', 'failed', 'cancelled', ''],
];

export function tenantRow(tenant: TenantReport) {
  const { pending, processing, completed, failed, cancelled } = tenant.counts;
  return [
    tenant.tenant_id,
    String(tenant.weight),
    limitText(tenant),
    ...[pending, processing, completed, failed, cancelled].map(String),
    tenant.paused ? 'paused' : '',
  ];
}

/** Prints a tenant, as after a change of its settings. */
export function printTenant(terminal: Terminal, tenant: TenantReport): void {
  if (terminal.json) {
    terminal.record(tenant);
    return;
  }
  const { tenant_id: tenantId, weight, max_running: maxRunning, paused, ready, running, rates } = tenant;
  const held = paused ? 'paused, ' : '';
  const limit = maxRunning === null ? 'no limit' : `at most ${maxRunning} running`;
  terminal.data(
    `tenant ${terminal.paint('bold', tenantId)}: ${held}weight ${weight}, ${limit}${rateText(rates)}; ready ${ready}, running ${running}`,
  );
}

function rateText({ requests_per_minute: perMinute, burst }: TenantReport['rates']): string {
  const rate = perMinute === null ? '' : `, ${perMinute} requests/min`;
  return burst === null ? rate : `${rate}, burst ${burst}`;
}

function limitText({ max_running: maxRunning }: TenantReport): string {
  return maxRunning === null ? 'none' : String(maxRunning);
}
