import { z } from 'zod';
import { MAX_NAMES, MAX_RATE } from '../protocol/admin.js';
import { isJsonOnly } from '../protocol/bounded-json.js';
import { MAX_RESULT_BYTES } from '../protocol/json.js';
import { listSchema } from '../protocol/list.js';
import { MESSAGE_ROLES } from '../protocol/session.js';
import { MAX_BUDGET_TOKENS } from '../protocol/task.js';
import { TASK_STATES } from '../protocol/task-state.js';
import type { PortableKind } from './portable-records.js';

/** Most items of a list of a record. */
export const MAX_ITEMS = 1_000;
/** The end of the year 9999. */
const MAX_TIME_MS = 253_402_300_799_999;
const MAX_TEXT = 2_000_000;

// The forms that the storages take.
const name = z.string().regex(/^[\w@][\w.:@/~+-]{0,399}$/, 'expected an id of 1 to 400 characters');
const visible = z.string().regex(/^[\x21-\x7e]{1,400}$/, 'expected 1 to 400 visible characters');
const label = z
  .string()
  .max(1_000)
  .regex(/^\P{Cc}+$/u, 'expected a text without control characters');
const text = z.string().max(MAX_TEXT);
const count = z.int().min(0);
const time = z.int().min(0).max(MAX_TIME_MS);
/** Changes of a journal, several for each of its steps. */
const changes = z.int().min(0).max(100_000);
const amount = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const priority = z.int().min(0).max(9);
const only = z.literal(true).optional();
const list = <T extends z.ZodType>(item: T) => listSchema(item, { max: MAX_ITEMS, min: 1 });

/** As in the calls of a storage. */
function fits(value: unknown): boolean {
  if (value === undefined) return false;
  return isJsonOnly(value, MAX_RESULT_BYTES) || Buffer.byteLength(JSON.stringify(value)) <= MAX_RESULT_BYTES;
}
const json = z.custom<unknown>(fits, `expected JSON of at most ${MAX_RESULT_BYTES} bytes`);
const jsonObject = z.custom<object>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && fits(value),
  `expected a JSON object of at most ${MAX_RESULT_BYTES} bytes`,
);

const state = z.enum(TASK_STATES);
const error = z.looseObject({ code: z.string().max(200), message: text, retryable: z.boolean() });
const outcome = z.union([
  z.strictObject({ ok: z.literal(true), value: json }),
  z.strictObject({ ok: z.literal(false), error }),
]);
const cancelling = z.strictObject({ reason: text, grace_ms: time }).optional();

const call = {
  call_id: name,
  service: name,
  state: z.enum(['sending', 'waiting', 'ended']),
  job_id: label.optional(),
  named: only,
  silent_at: time.optional(),
  ok: z.boolean().optional(),
  counted: only,
  fingerprint: visible.optional(),
  last_seq: count.optional(),
  seen_messages: list(label).optional(),
};

const step = z.strictObject({
  key: label,
  step: z.enum(['call', 'run', 'sleep', 'signal']),
  name: label,
  max_tries: z.int().min(1),
  rev: changes,
  era: z.int().min(-1),
  signal: name.optional(),
  ended_at: time.optional(),
  retry_at: time.optional(),
  due_at: time.optional(),
  outcome: outcome.optional(),
  calls: list(
    z.strictObject({ ...call, operation: name, retry_delay_ms: time, silence_ms: time.optional() }),
  ).optional(),
});

const tenant = { tenant_id: name };
const inTask = { ...tenant, task_id: name };
const inSession = { ...tenant, session_id: name };
const inBatch = { ...tenant, batch_id: name };

const task = z.strictObject({
  kind: z.literal('task'),
  ...inTask,
  sequence: z.int().min(1),
  type: name,
  priority,
  created_at: time,
  timeout_ms: time,
  max_attempts: z.int().min(1),
  metadata: jsonObject,
  session_id: name.optional(),
  agent_id: name.optional(),
  parent_task_id: name.optional(),
  requested_by: name.optional(),
  batch_id: name.optional(),
  redriven_from: name.optional(),
  redriven_to: name.optional(),
  run_at: time.optional(),
  budget: z.int().min(1).max(MAX_BUDGET_TOKENS).optional(),
  drawn: amount.optional(),
  state,
  since: time,
  updated_at: time,
  started_at: time.optional(),
  finished_at: time.optional(),
  due_at: time.optional(),
  attempt: count,
  rev: count,
  version: count.optional(),
  lost_leases: count,
  failures: count,
  replayed_to: count,
  inherited: count,
  seed: name.optional(),
  tokens: amount,
  progress: z.strictObject({ percent: amount.optional(), message: text.optional() }).optional(),
  cancel_reason: text.optional(),
  lease: z.strictObject({ worker_id: name, prefetched: z.boolean(), resumes: z.boolean() }).optional(),
  parallel: only,
  holds: only,
  waits: z.strictObject({ session: count.optional(), batch: count.optional() }).optional(),
  queue_priority: priority.optional(),
  journal_rev: changes,
  payload: json,
  result: json.optional(),
  error: error.optional(),
  diagnostic: json.optional(),
});

const usageRow = z.strictObject({
  model: label,
  operation: label,
  tokens: amount,
  requests: count,
  saved_tokens: amount,
  prompt_tokens: amount.optional(),
  completion_tokens: amount.optional(),
  cached_tokens: amount.optional(),
  cost: amount.optional(),
});
/** Empty: none. */
const ofUsage = z.string().max(1_000);

const names = listSchema(name, { max: MAX_NAMES }).optional();
const ratesByName = z.record(label, z.int().min(1).max(MAX_RATE)).optional();
const rate = z.int().min(1).max(MAX_RATE);

/** The schema of each kind of record. */
export const RECORD_SCHEMAS: Readonly<Record<PortableKind, z.ZodType>> = {
  tenant: z.strictObject({
    kind: z.literal('tenant'),
    ...tenant,
    weight: z.int().min(1),
    paused: z.boolean(),
    max_running: z.int().min(1).optional(),
    max_waiting: z.int().min(1).optional(),
    max_stored_bytes: z.int().min(1).optional(),
    retention_ms: z.int().min(1).max(MAX_TIME_MS).optional(),
    types: names,
    services: names,
    budgets: list(
      z.strictObject({
        period: z.enum(['day', 'month']),
        tokens: z.int().min(1).optional(),
        cost: amount.optional(),
      }),
    ).optional(),
    rates: z
      .strictObject({
        requests_per_minute: rate.optional(),
        burst: rate.optional(),
        calls_per_minute: ratesByName,
        tokens_per_minute: ratesByName,
      })
      .optional(),
    seq: count,
    claimed: count,
    lined: count,
  }),
  session: z.strictObject({
    kind: z.literal('session'),
    ...inSession,
    agent_id: name.optional(),
    status: z.enum(['active', 'closed']),
    created_at: time,
    updated_at: time,
    rev: z.int().min(1),
    context: jsonObject,
    cancelling,
  }),
  messages: z.strictObject({
    kind: z.literal('messages'),
    ...inSession,
    messages: list(
      z.strictObject({
        message_id: label,
        role: z.enum(MESSAGE_ROLES),
        content: text,
        created_at: time,
        task_id: name.optional(),
      }),
    ),
  }),
  batch: z.strictObject({
    kind: z.literal('batch'),
    ...inBatch,
    created_at: time,
    fail_fast: z.boolean(),
    max_in_flight: z.int().min(1),
    cancelling,
  }),
  batch_items: z.strictObject({
    kind: z.literal('batch_items'),
    ...inBatch,
    items: list(
      z.union([
        z.strictObject({ task_id: name }),
        z.strictObject({ gone_id: name, state }),
        z.strictObject({ error }),
      ]),
    ),
  }),
  task,
  journal: z.strictObject({
    kind: z.literal('journal'),
    ...inTask,
    steps: list(step).optional(),
    dropped: list(z.strictObject({ ...call, operation: name.optional(), step_key: label })).optional(),
    mailbox: list(z.strictObject({ name, payload: json })).optional(),
    signals: list(z.strictObject({ id: visible, fingerprint: visible.optional() })).optional(),
  }),
  key: z.strictObject({
    kind: z.literal('key'),
    ...tenant,
    key: visible,
    digest: z.string().regex(/^[\w-]{43}$/, 'expected a SHA-256 as base64url'),
    until: time,
    of: z.enum(['task', 'batch', 'session']),
    id: name,
  }),
  usage: z.strictObject({
    kind: z.literal('usage'),
    ...tenant,
    day: z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'expected a day, YYYY-MM-DD'),
    rows: list(usageRow),
  }),
  usage_details: z.strictObject({
    kind: z.literal('usage_details'),
    ...tenant,
    day: z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'expected a day, YYYY-MM-DD'),
    rows: list(
      usageRow.extend({ session: ofUsage, task: ofUsage, agent: ofUsage, user: z.string().max(MAX_TEXT) }),
    ),
  }),
};
