import type { Orchestrator } from '@agent-orchestrator/core';
import { Counter, Histogram, type Registry } from 'prom-client';
import { BoundedLabel } from './bounded-label.js';

const WAIT_SECONDS = [0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800];
const RUN_SECONDS = [0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900];
const CALL_SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const MAX_TYPES = 100;
const MAX_CODES = 50;
const MAX_SERVICES = 50;
const MAX_MODELS = 50;

/** Adds what runs and calls of this process do, from the orchestrator's hooks. Returns a function that ends it. */
export function addRunMetrics(orchestrator: Orchestrator, registry: Registry): () => void {
  const codes = new BoundedLabel(MAX_CODES);
  const codeOf: CodeOf = (error) => (error ? codes.of(error.code) : '');
  const ends = [
    ...watchRuns(orchestrator, [registry], codeOf),
    watchCalls(orchestrator, [registry], codeOf),
    watchTokens(orchestrator, [registry]),
  ];
  return () => {
    for (const end of ends) end();
  };
}

type CodeOf = (error: { readonly code: string } | undefined) => string;

function watchRuns(orchestrator: Orchestrator, registers: Registry[], codeOf: CodeOf): (() => void)[] {
  const types = new BoundedLabel(MAX_TYPES);
  const waits = new Histogram({
    name: 'orchestrator_task_wait_seconds',
    help: 'From the submission of a task, or its run_at, to its first run.',
    labelNames: ['type'],
    buckets: WAIT_SECONDS,
    registers,
  });
  const durations = new Histogram({
    name: 'orchestrator_run_duration_seconds',
    help: 'Runs of workflows, by type; a task that is parked and woken has several.',
    labelNames: ['type'],
    buckets: RUN_SECONDS,
    registers,
  });
  const ends = new Counter({
    name: 'orchestrator_tasks_ended_total',
    help: 'Tasks ended by runs of this process, with the code of the error, if any.',
    labelNames: ['type', 'outcome', 'code'],
    registers,
  });
  return [
    orchestrator.on('runStarted', ({ type, waitedMs }) => {
      if (waitedMs !== undefined) waits.observe({ type: types.of(type) }, waitedMs / 1_000);
    }),
    orchestrator.on('runEnded', ({ type, durationMs }) =>
      durations.observe({ type: types.of(type) }, durationMs / 1_000),
    ),
    orchestrator.on('taskEnded', ({ type, outcome, error }) =>
      ends.inc({ type: types.of(type), outcome, code: codeOf(error) }),
    ),
  ];
}

function watchCalls(orchestrator: Orchestrator, registers: Registry[], codeOf: CodeOf): () => void {
  const services = new BoundedLabel(MAX_SERVICES);
  const calls = new Counter({
    name: 'orchestrator_service_calls_total',
    help: 'Calls to services, with their resends, without those answered from the cache; "accepted": the outcome is reported later.',
    labelNames: ['service', 'outcome', 'code'],
    registers,
  });
  const durations = new Histogram({
    name: 'orchestrator_service_call_duration_seconds',
    help: 'From the call to its answer, by service.',
    labelNames: ['service'],
    buckets: CALL_SECONDS,
    registers,
  });
  return orchestrator.on('callEnded', ({ service: name, outcome, error, durationMs, cached }) => {
    // Nothing was sent: it says nothing of the service.
    if (cached === true) return;
    const service = services.of(name);
    calls.inc({ service, outcome, code: codeOf(error) });
    durations.observe({ service }, durationMs / 1_000);
  });
}

function watchTokens(orchestrator: Orchestrator, registers: Registry[]): () => void {
  const models = new BoundedLabel(MAX_MODELS);
  const tokens = new Counter({
    name: 'orchestrator_tokens_total',
    help: 'Tokens that services have reported to this process, or the host has tracked, by model and type: prompt, completion, or other where usage does not tell.',
    labelNames: ['model', 'type'],
    registers,
  });
  const costs = new Counter({
    name: 'orchestrator_cost_total',
    help: 'Their cost, by model, in the unit of the price table.',
    labelNames: ['model'],
    registers,
  });
  return orchestrator.on('tokensUsed', ({ usage }) => {
    const model = models.of(usage.model);
    const { tokens: total, prompt_tokens: prompt = 0, completion_tokens: completion = 0, cost = 0 } = usage;
    const other = Math.max(0, total - prompt - completion);
    for (const [type, count] of Object.entries({ prompt, completion, other }))
      if (count > 0) tokens.inc({ model, type }, count);
    if (cost > 0) costs.inc({ model }, cost);
  });
}
