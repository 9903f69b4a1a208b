import { MAX_BUDGETS, MAX_NAMES, MAX_RATE } from '../protocol/admin.js';
import { MAX_STORAGE_PAGE } from '../protocol/pages.js';
import { DEFAULTS } from '../protocol/settings.js';
import { MESSAGE_ROLES } from '../protocol/session.js';
import { MAX_BUDGET_TOKENS, ON_BUSY, TASK_STATUSES } from '../protocol/task.js';
import { USAGE_DIMENSIONS } from '../protocol/usage-dimensions.js';
import {
  absent,
  amount,
  anything,
  type Check,
  fields,
  filled,
  flag,
  json,
  jsonObject,
  label,
  list,
  name,
  oneOf,
  optional,
  ParamRefused,
  picked,
  span,
  spanOrNone,
  text,
  variants,
  visible,
  whole,
} from './param-checks.js';

// Values that params of storages are made of, as checks.

export const MESSAGE = 2_000_000;
/** Maximum content of a ticket: fits the longest credential, sealed. */
export const MAX_TICKET = 16_384;
export const tenantId = name;
const taskId = name;
export const inTask = { tenantId, taskId };
export const inLease = { ...inTask, token: name };
const MAX_VERSION = 1_000_000_000;
export const rate = whole(1, MAX_RATE);
const orNone =
  (check: Check): Check =>
  (value, path) =>
    value === null ? value : optional(check)(value, path);
const names = list(name, MAX_NAMES);
export const dimension = oneOf(...USAGE_DIMENSIONS);
/** Rates by the name of a service or model. */
const ratesByName: Check = (value, path) => {
  const given = jsonObject(value, path) as Record<string, unknown>;
  const entries = Object.entries(given);
  if (entries.length > MAX_NAMES)
    throw new ParamRefused(path, `at most ${MAX_NAMES} names`, `${entries.length}`);
  for (const [key, perMinute] of entries) {
    label(key, path);
    rate(perMinute, `${path}.${key}`);
  }
  return given;
};
export const cached = { tenantId, digest: name, token: name };
export const inSession = { tenantId, sessionId: name };
export const limit = whole(1, MAX_STORAGE_PAGE);
/** A position in a journal. */
export const journalRev = whole(0, 1_000_000_000);
export const after = optional(label);
export const reason = text(MESSAGE);
export const error = fields({
  code: name,
  message: text(MESSAGE),
  retryable: flag,
  diagnostic: optional(json()),
});
const diagnostic = optional(json());
const usage = optional(
  fields({
    tokens: amount,
    model: label,
    saved_tokens: optional(amount),
    prompt_tokens: optional(amount),
    completion_tokens: optional(amount),
    cached_tokens: optional(amount),
    cost: optional(amount),
  }),
);
const success = fields({ value: json('result_too_large') });
const failure = fields({ ok: flag, error });
const outcome: Check = (value, path) => {
  // Drop the other variant's field: some storages would store it, others not.
  if ((value as { readonly ok?: unknown } | undefined)?.ok === true)
    return without(success(value, path) as object, 'error');
  return without(failure(value, path) as object, 'value');
};

function without(checked: object, key: string): object {
  if (!(key in checked)) return checked;
  return Object.fromEntries(Object.entries(checked).filter(([field]) => field !== key));
}
export const message = fields({ message_id: label, role: oneOf(...MESSAGE_ROLES), content: text(MESSAGE) });

const metadataFields = fields({
  source: optional(text(MESSAGE)),
  user_id: optional(text(MESSAGE)),
  traceparent: optional(text(MESSAGE)),
  timeout_ms: optional(amount),
});
const metadata: Check = (value, path) => metadataFields(jsonObject(value, path), path);
export const newTask = fields({
  task_id: taskId,
  type: name,
  priority: whole(0, 9),
  payload: json(),
  metadata,
  session_id: optional(name),
  agent_id: optional(name),
  parent_task_id: optional(name),
  requested_by: optional(name),
  budgetTokens: optional(whole(1, MAX_BUDGET_TOKENS)),
  runAt: optional(span),
  timeoutMs: span,
  maxAttempts: whole(1),
});
export const taskFilter = fields({
  status: optional(oneOf(...TASK_STATUSES)),
  type: optional(label),
  sessionId: optional(label),
  code: optional(name),
  since: optional(span),
  idPrefix: optional(name),
});
export const submission = fields({ task: newTask, onBusy: oneOf(...ON_BUSY), message: optional(message) });
export const idempotency = optional(fields({ key: visible, fingerprint: text(MESSAGE) }));
export const maxWaiting = spanOrNone;
export const batchItem: Check = (value, path) =>
  typeof value === 'object' && value !== null && 'error' in value
    ? fields({ error })(value, path)
    : submission(value, path);
export const runs = list(
  fields({
    type: name,
    versions: filled(list(whole(1, MAX_VERSION), 1_000)),
    timeoutMs: optional(span),
    maxAttempts: optional(whole(1)),
  }),
  10_000,
);

export const settlement = variants('kind', {
  completed: fields({
    result: json('result_too_large'),
    answer: optional(fields({ message_id: label, content: text(MESSAGE) })),
  }),
  failed: fields({ error, diagnostic }),
  retry: fields({ error, diagnostic, delayMs: span, drop: optional(label) }),
  parked: fields({ journalRev }),
  released: anything,
  cancelled: anything,
});

export const step = fields({
  key: label,
  kind: oneOf('call', 'run', 'sleep', 'signal'),
  name: label,
  call: optional(
    fields({
      callId: name,
      service: name,
      operation: name,
      maxTries: whole(1),
      retryDelayMs: span,
      silenceMs: span,
    }),
  ),
  dueInMs: optional(span),
  signal: optional(name),
});
const answer = variants('kind', {
  outcome: fields({ outcome, usage }),
  accepted: fields({ jobId: label }),
});
const recorded = fields({
  ...inTask,
  token: optional(name),
  journalRev,
  key: label,
  callId: optional(name),
  answer,
});
/** A step that is stored with its outcome: own work, of the task's worker. */
const recordedRun = fields({
  ...inLease,
  journalRev,
  key: label,
  callId: absent,
  answer: variants('kind', { outcome: fields({ outcome, usage: absent }) }),
  create: fields({ name: label, maxSteps: whole(0) }),
});
export const record: Check = (value, path) =>
  ((value as { readonly create?: unknown } | undefined)?.create === undefined ? recorded : recordedRun)(
    value,
    path,
  );
export const report = fields({
  tenantId,
  service: name,
  jobId: label,
  callId: optional(name),
  taskId: optional(name),
  messageId: optional(label),
  seq: optional(whole(0)),
  metadata: optional(jsonObject),
  body: variants('kind', {
    outcome: fields({ outcome, usage }),
    status: fields({ status: text(MESSAGE), details: json() }),
  }),
});

const budgetFields = picked({
  period: oneOf('day', 'month'),
  tokens: optional(whole(1)),
  cost: optional(amount),
});
const budget: Check = (value, path) => {
  const checked = budgetFields(value, path) as { readonly tokens?: number; readonly cost?: number };
  if ((checked.tokens ?? checked.cost ?? 0) > 0 && checked.cost !== 0) return checked;
  throw new ParamRefused(path, 'tokens, or a cost above 0', 'neither');
};

/** A change of a tenant's settings. */
export const tenantChange = picked({
  tenantId,
  weight: optional(whole(1)),
  maxRunning: orNone(whole(1)),
  paused: optional(flag),
  maxWaiting: orNone(whole(1)),
  maxStoredBytes: orNone(whole(1)),
  retentionMs: orNone(whole(1, DEFAULTS.maxRetentionMs)),
  types: orNone(names),
  services: orNone(names),
  budgets: orNone(filled(list(budget, MAX_BUDGETS))),
  rates: orNone(
    picked({
      requestsPerMinute: orNone(rate),
      burst: orNone(rate),
      callsPerMinute: orNone(ratesByName),
      tokensPerMinute: orNone(ratesByName),
    }),
  ),
});

export const usageAddition = fields({
  tenantId,
  id: name,
  model: label,
  operation: label,
  tokens: amount,
  savedTokens: amount,
  promptTokens: optional(amount),
  completionTokens: optional(amount),
  cachedTokens: optional(amount),
  cost: optional(amount),
  callId: optional(name),
  taskId: optional(taskId),
  sessionId: optional(name),
  agentId: optional(name),
  userId: optional(label),
});
