// Writes dashboard.json, the board for Grafana: node deploy/monitoring/make-board.mjs
import { readFileSync, writeFileSync } from 'node:fs';

const file = new URL('dashboard.json', import.meta.url);
const HEIGHT = 8;
const WIDTH = 8;

const rate = (metric, by) => `sum by (${by}) (rate(${metric}[$__rate_interval]))`;
const quantile = (q, metric, by) =>
  `histogram_quantile(${q}, sum by (le, ${by}) (rate(${metric}_bucket[$__rate_interval])))`;

/** Rows of panels: title, unit, and queries with their legends. */
const ROWS = {
  Tasks: [
    ['Tasks ended', 'ops', [[rate('orchestrator_tasks_ended_total', 'outcome'), '{{outcome}}']]],
    [
      'Failures by code',
      'ops',
      [[rate('orchestrator_tasks_ended_total{outcome="failed"}', 'type, code'), '{{type}} {{code}}']],
    ],
    [
      'Tasks in the storage',
      'short',
      [
        ['max by (status) (orchestrator_queue_tasks)', '{{status}}'],
        ['max(orchestrator_queue_ready)', 'ready'],
      ],
    ],
    ['Oldest ready task', 's', [['max(orchestrator_queue_oldest_ready_seconds)', 'age']]],
    ['Wait for a worker, p95', 's', [[quantile(0.95, 'orchestrator_task_wait_seconds', 'type'), '{{type}}']]],
    [
      'Duration of runs, p95',
      's',
      [[quantile(0.95, 'orchestrator_run_duration_seconds', 'type'), '{{type}}']],
    ],
  ],
  Workers: [
    [
      'Slots',
      'short',
      [
        ['sum(orchestrator_worker_slots)', 'slots'],
        ['sum by (state) (orchestrator_worker_runs)', '{{state}}'],
      ],
    ],
    ['Ends of runs', 'ops', [[rate('orchestrator_runs_total', 'end'), '{{end}}']]],
    ['Timers', 'ops', [[rate('orchestrator_timers_fired_total', 'kind'), '{{kind}}']]],
    [
      'Age of the last claim and sweep',
      's',
      [
        ['orchestrator_worker_claim_age_seconds', 'claim {{instance}}'],
        ['orchestrator_sweep_age_seconds', 'sweep {{instance}}'],
      ],
    ],
    ['Event loop lag, p99', 's', [['nodejs_eventloop_lag_p99_seconds', '{{instance}}']]],
    ['Memory', 'bytes', [['process_resident_memory_bytes', '{{instance}}']]],
  ],
  Services: [
    [
      'Calls',
      'ops',
      [[rate('orchestrator_service_calls_total', 'service, outcome'), '{{service}} {{outcome}}']],
    ],
    [
      'Duration of calls, p95',
      's',
      [[quantile(0.95, 'orchestrator_service_call_duration_seconds', 'service'), '{{service}}']],
    ],
    [
      'Circuit breakers',
      'short',
      [
        ['max by (service) (orchestrator_breaker_state{state="open"})', '{{service}} open'],
        ['max by (service) (orchestrator_tenant_breakers_open)', '{{service}}: tenants'],
      ],
    ],
  ],
  Clients: [
    [
      'Requests',
      'ops',
      [[rate('orchestrator_http_requests_total', 'route, status'), '{{route}} {{status}}']],
    ],
    [
      'Duration of requests, p95',
      's',
      [[quantile(0.95, 'orchestrator_http_request_duration_seconds', 'route'), '{{route}}']],
    ],
    ['Open sockets', 'short', [['sum by (kind) (orchestrator_sockets)', '{{kind}}']]],
    [
      'Delivery of events, p99',
      's',
      [
        [
          'histogram_quantile(0.99, sum by (le) (rate(orchestrator_event_delivery_seconds_bucket[$__rate_interval])))',
          'lag',
        ],
      ],
    ],
    ['Notifications', 'ops', [[rate('orchestrator_notifications_total', 'outcome'), '{{outcome}}']]],
    ['Ping of the storage', 's', [['orchestrator_storage_ping_seconds', '{{instance}}']]],
  ],
};

function panels() {
  const made = [];
  let y = 0;
  for (const [title, charts] of Object.entries(ROWS)) {
    made.push({ type: 'row', title, gridPos: { x: 0, y, w: 24, h: 1 }, collapsed: false, panels: [] });
    y += 1;
    for (const [at, [name, unit, queries]] of charts.entries()) {
      made.push({
        type: 'timeseries',
        title: name,
        datasource: { type: 'prometheus', uid: '${datasource}' },
        gridPos: { x: (at % 3) * WIDTH, y: y + Math.floor(at / 3) * HEIGHT, w: WIDTH, h: HEIGHT },
        fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
        targets: queries.map(([expr, legendFormat], index) => ({
          expr,
          legendFormat,
          refId: String.fromCharCode('A'.charCodeAt(0) + index),
        })),
      });
    }
    y += Math.ceil(charts.length / 3) * HEIGHT;
  }
  return made.map((panel, id) => ({ id: id + 1, ...panel }));
}

const board = {
  uid: 'agent-orchestrator',
  title: 'Agent Orchestrator',
  tags: ['agent-orchestrator'],
  schemaVersion: 39,
  timezone: 'browser',
  refresh: '30s',
  time: { from: 'now-3h', to: 'now' },
  templating: {
    list: [{ name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' }],
  },
  panels: panels(),
};
const text = `${JSON.stringify(board, null, 2)}\n`;
if (process.argv.includes('--check')) {
  if (readFileSync(file, 'utf8') !== text) {
    console.error('deploy/monitoring/dashboard.json: run node deploy/monitoring/make-board.mjs');
    process.exitCode = 1;
  }
} else {
  writeFileSync(file, text);
}
