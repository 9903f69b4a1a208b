import type { OverviewReport, ServiceReport, TimelineReport } from '@agent-orchestrator/core/server';
import type { Terminal } from '../terminal/terminal.js';
import { durationText } from './duration.js';
import { localTime } from './local-time.js';
import { table } from './table.js';

/** A snapshot: for people the tasks, tenants, workers and services, for programs the report. */
export function printOverview(terminal: Terminal, report: OverviewReport): void {
  if (terminal.json) {
    terminal.record(report);
    return;
  }
  const { counts, tenants, at_limit: atLimit, oldest_ready_age_ms: oldest, rates, services = [] } = report;
  const age = oldest === undefined ? '' : `, the oldest for ${durationText(oldest)}`;
  const ended = rates?.ended_per_s === undefined ? '' : `, ended ${rates.ended_per_s}/s`;
  const limits = atLimit.map(({ tenant_id, limit }) => `${tenant_id} (${limit})`).join(', ');
  const rows = [
    ['time', localTime(report.at)],
    ['waiting', `${counts.pending} pending, ${report.ready} of them ready${age}`],
    ['running', `${report.running} of ${counts.processing} in progress`],
    ['ended', `${counts.completed} completed, ${counts.failed} failed, ${counts.cancelled} cancelled`],
    ...(rates ? [['rates', `submitted ${rates.submitted_per_s}/s${ended} (of this server)`]] : []),
    ['tenants', `${tenants.active} active, ${tenants.paused} paused${report.partial ? ', and more' : ''}`],
    ...(limits === '' ? [] : [['at limit', limits]]),
    ['workers', String(report.workers)],
  ];
  for (const line of table([], rows, terminal)) terminal.data(line);
  if (services.length === 0) return;
  terminal.data('');
  for (const line of table(SERVICE_COLUMNS, services.map(serviceRow), terminal)) terminal.data(line);
}

export const SERVICE_COLUMNS = ['service', 'in', 'breaker', 'in flight', 'calls', 'errors', 'p95', ''];

export function serviceRow(service: ServiceReport): string[] {
  const { open_tenant_breakers: open } = service;
  return [
    service.name,
    service.in,
    service.breaker ?? '-',
    String(service.in_flight),
    String(service.calls),
    String(service.errors),
    service.p95_ms === undefined ? '-' : durationText(service.p95_ms),
    open === 0 ? '' : `not for ${open} tenants`,
  ];
}

/** Attempts and steps of a task with their times. */
export function printTimeline(terminal: Terminal, report: TimelineReport): void {
  if (terminal.json) {
    terminal.record(report);
    return;
  }
  const { task, attempts, wait_ms: wait, run_ms: run, steps, partial } = report;
  const parts = [
    ...(wait === undefined ? [] : [`waited ${durationText(wait)}`]),
    ...(run === undefined ? [] : [`ran ${durationText(run)}`]),
  ];
  terminal.data(`task ${terminal.paint('bold', task.task_id)}: ${[task.status, ...parts].join(', ')}`);
  for (const { attempt, started_at: at } of attempts)
    terminal.data(`attempt ${attempt} from ${localTime(at)}`);
  const rows = steps.map((step) => [
    step.name,
    step.error_code === undefined ? step.state : `${step.state}: ${step.error_code}`,
    String(step.tries),
    step.began_at === undefined ? '' : localTime(step.began_at),
    step.duration_ms === undefined ? '' : durationText(step.duration_ms),
    step.inherited ? 'inherited' : '',
  ]);
  const head = ['step', 'state', 'tries', 'from', 'took', ''];
  if (rows.length > 0) for (const line of table(head, rows, terminal)) terminal.data(line);
  if (partial) terminal.talk('the journal has more steps');
}
