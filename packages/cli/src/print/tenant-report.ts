import type { TenantReport } from '@agent-orchestrator/core/server';
import type { Terminal } from '../terminal/terminal.js';
import { table } from './table.js';
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

/** Prints all settings of a tenant, with what it has at the moment. */
export function printSettings(terminal: Terminal, tenant: TenantReport): void {
  if (terminal.json) {
    terminal.record(tenant);
    return;
  }
  const {
    tenant_id: tenantId,
    ready,
    running,
    counts,
    rates,
    budgets,
    oldest_ready_at: _,
    ...settings
  } = tenant;
  const named = (values: Readonly<Record<string, number>> | null) =>
    values && Object.entries(values).map(([name, value]) => `${name}=${value}`);
  const budgetText = budgets?.map(({ period, tokens, cost }) =>
    [period, tokens === undefined ? '' : `${tokens} tokens`, cost === undefined ? '' : `cost ${cost}`]
      .filter(Boolean)
      .join(' '),
  );
  const rows = Object.entries({
    ...settings,
    budgets: budgetText ?? null,
    requests_per_minute: rates.requests_per_minute,
    burst: rates.burst,
    calls_per_minute: named(rates.calls_per_minute),
    tokens_per_minute: named(rates.tokens_per_minute),
  }).map(([name, value]) => [name.replaceAll('_', ' '), valueText(value)]);
  const load = Object.entries(counts).map(([status, count]) => `${count} ${status}`);
  terminal.data(
    `tenant ${terminal.paint('bold', tenantId)}: ${ready} ready, ${running} running; ${load.join(', ')}`,
  );
  for (const line of table(['setting', ''], rows, terminal)) terminal.data(line);
}

function valueText(value: unknown): string {
  if (value === null) return 'default';
  if (Array.isArray(value)) return value.join(', ') || 'nothing';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function rateText({ requests_per_minute: perMinute, burst }: TenantReport['rates']): string {
  const rate = perMinute === null ? '' : `, ${perMinute} requests/min`;
  return burst === null ? rate : `${rate}, burst ${burst}`;
}

function limitText({ max_running: maxRunning }: TenantReport): string {
  return maxRunning === null ? 'none' : String(maxRunning);
}
