import { MAX_RATE } from '../protocol/admin.js';
import { OrchestratorError } from '../protocol/errors.js';
import { MAX_STORAGE_PAGE } from '../protocol/pages.js';
import { DEFAULTS } from '../protocol/settings.js';
import { MESSAGE_ROLES } from '../protocol/session.js';
import { ON_BUSY, TASK_STATUSES } from '../protocol/task.js';
import { messageOf } from '../protocol/thrown.js';
import {
  absent,
  amount,
  anything,
  type Check,
  day,
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
  pageCursor,
  span,
  spanOrNone,
  text,
  variants,
  visible,
  whole,
} from './param-checks.js';
import type { Storage } from './storage.js';

const MESSAGE = 2_000_000;
/** Maximum content of a ticket: fits the longest credential, sealed. */
const MAX_TICKET = 16_384;
const tenantId = name;
const taskId = name;
const inTask = { tenantId, taskId };
const inLease = { ...inTask, token: name };
const MAX_VERSION = 1_000_000_000;
const rate = whole(1, MAX_RATE);
const orNone =
  (check: Check): Check =>
  (value, path) =>
    value === null ? value : optional(check)(value, path);
const cached = { tenantId, digest: name, token: name };
const inSession = { tenantId, sessionId: name };
const limit = whole(1, MAX_STORAGE_PAGE);
/** A position in a journal. */
const journalRev = whole(0, 1_000_000_000);
const after = optional(label);
const reason = text(MESSAGE);
const error = fields({ code: name, message: text(MESSAGE), retryable: flag, diagnostic: optional(json()) });
const diagnostic = optional(json());
const usage = optional(fields({ tokens: amount, model: label, saved_tokens: optional(amount) }));
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
const message = fields({ message_id: label, role: oneOf(...MESSAGE_ROLES), content: text(MESSAGE) });

const metadataFields = fields({
  source: optional(text(MESSAGE)),
  user_id: optional(text(MESSAGE)),
  traceparent: optional(text(MESSAGE)),
  timeout_ms: optional(amount),
});
const metadata: Check = (value, path) => metadataFields(jsonObject(value, path), path);
const newTask = fields({
  task_id: taskId,
  type: name,
  priority: whole(0, 9),
  payload: json(),
  metadata,
  session_id: optional(name),
  agent_id: optional(name),
  parent_task_id: optional(name),
  requested_by: optional(name),
  runAt: optional(span),
  timeoutMs: span,
  maxAttempts: whole(1),
});
const taskFilter = fields({
  status: optional(oneOf(...TASK_STATUSES)),
  type: optional(label),
  sessionId: optional(label),
  code: optional(name),
  since: optional(span),
  idPrefix: optional(name),
});
const submission = fields({ task: newTask, onBusy: oneOf(...ON_BUSY), message: optional(message) });
const idempotency = optional(fields({ key: visible, fingerprint: text(MESSAGE) }));
const maxWaiting = spanOrNone;
const batchItem: Check = (value, path) =>
  typeof value === 'object' && value !== null && 'error' in value
    ? fields({ error })(value, path)
    : submission(value, path);
const runs = list(
  fields({
    type: name,
    versions: filled(list(whole(1, MAX_VERSION), 1_000)),
    timeoutMs: optional(span),
    maxAttempts: optional(whole(1)),
  }),
  10_000,
);

const settlement = variants('kind', {
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

const step = fields({
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
const record: Check = (value, path) =>
  ((value as { readonly create?: unknown } | undefined)?.create === undefined ? recorded : recordedRun)(
    value,
    path,
  );
const report = fields({
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

/** Parameter schema of each storage method: one gate for all storages, so that all reject the same invalid values. */
const CHECKS: { readonly [part: string]: Readonly<Record<string, Check>> } = {
  tasks: {
    submit: fields({ tenantId, submission, idempotency, maxWaiting }),
    submitBatch: fields({
      tenantId,
      batch: fields({
        batchId: name,
        maxInFlight: whole(1),
        failFast: flag,
        items: list(batchItem, 100_000),
      }),
      idempotency,
      maxWaiting,
    }),
    getBatch: fields({ tenantId, batchId: name, results: optional(flag), after: optional(pageCursor) }),
    cancelBatch: fields({ tenantId, batchId: name, reason, graceMs: span }),
    register: fields({
      tenantId,
      task: newTask,
      call: optional(
        fields({
          callId: name,
          service: name,
          operation: name,
          jobId: optional(label),
          silenceMs: spanOrNone,
        }),
      ),
      maxWaiting,
    }),
    finish: fields({
      ...inTask,
      outcome: variants('kind', {
        completed: fields({ result: json('result_too_large') }),
        failed: fields({ error }),
      }),
    }),
    progress: fields({
      ...inTask,
      token: optional(name),
      progress: fields({ percent: optional(amount), message: optional(text(MESSAGE)) }),
    }),
    get: fields(inTask),
    list: fields({ tenantId, filter: taskFilter, limit, after: optional(pageCursor) }),
    counts: fields({ tenantId }),
    cancel: fields({ ...inTask, reason, graceMs: span }),
    signal: fields({ ...inTask, name, payload: json(), signalId: visible, fingerprint: optional(visible) }),
    redrive: fields({ ...inTask, newTaskId: name, payload: optional(json()), maxWaiting }),
    discard: fields(inTask),
    firstReady: fields({ tenantId, limit }),
    explain: fields(inTask),
  },
  queue: {
    claim: fields({
      workerId: name,
      claimSlot: optional(name),
      claimId: name,
      max: whole(0),
      begins: optional(whole(0)),
      runs,
      readsMessages: optional(list(name, 10_000)),
      leaseMs: span,
      waitMs: optional(span),
    }),
    renew: fields({ leases: list(fields({ ...inLease, begun: optional(flag) }), 1_000_000), leaseMs: span }),
    settle: fields({ ...inLease, settlement }),
    wake: fields(inTask),
    sweep: fields({ max: whole(0) }),
  },
  journal: {
    begin: fields({ ...inLease, journalRev, step, maxSteps: whole(0) }),
    record,
    changesSince: fields({ ...inLease, journalRev }),
    read: fields({ ...inTask, token: optional(name), after: journalRev }),
    report,
    heldReport: fields({ tenantId, heldId: name }),
  },
  sessions: {
    create: fields({ ...inSession, agentId: optional(name), context: jsonObject, idempotency }),
    get: fields(inSession),
    update: fields({
      ...inSession,
      rev: optional(whole(0)),
      agentId: optional(name),
      context: optional(jsonObject),
    }),
    append: fields({ ...inSession, message }),
    messages: fields({ ...inSession, limit, before: after }),
    list: fields({ tenantId, status: optional(oneOf('active', 'closed')), limit, after }),
    close: fields({ ...inSession, graceMs: span }),
  },
  events: {
    head: fields({ tenantId }),
    read: fields({ tenantId, after: label, limit }),
  },
  tenants: {
    get: fields({ tenantId }),
    configure: fields({
      tenantId,
      weight: optional(whole(1)),
      maxRunning: orNone(whole(1)),
      paused: optional(flag),
      rates: orNone(fields({ requestsPerMinute: orNone(rate), burst: orNone(rate) })),
    }),
    list: fields({ limit, after }),
  },
  tickets: {
    issue: fields({ tenantId, ticketId: name, content: text(MAX_TICKET), lifeMs: span, maxOpen: whole(1) }),
    spend: fields({ tenantId, ticketId: name, spendId: name }),
  },
  rates: {
    lease: fields({ tenantId, name, leaseId: name, perMinute: rate, burst: rate, wanted: whole(1) }),
  },
  usage: {
    add: fields({ tenantId, id: name, model: label, operation: label, tokens: amount, savedTokens: amount }),
    sum: fields({ tenantId, from: day, to: day }),
  },
  cache: {
    claim: fields({
      ...cached,
      leaseMs: span,
      kind: label,
      collection: optional(label),
      sessionId: optional(name),
    }),
    renew: fields({ ...cached, leaseMs: span }),
    put: fields({
      ...cached,
      value: json(),
      tokens: amount,
      model: optional(label),
      ttlMs: whole(1, DEFAULTS.maxTaskTimeoutMs),
    }),
    remove: fields(cached),
    invalidate: fields({
      tenantId,
      collection: optional(label),
      kind: optional(label),
      sessionId: optional(name),
    }),
  },
  workers: {
    announce: fields({ workerId: name, runs, leaseMs: optional(span) }),
    leave: fields({ workerId: name }),
    announced: fields({ type: name }),
  },
};

/** The ports of a storage whose methods take parameters. */
export type StoragePorts = Pick<
  Storage,
  | 'tasks'
  | 'queue'
  | 'journal'
  | 'sessions'
  | 'events'
  | 'tenants'
  | 'tickets'
  | 'rates'
  | 'usage'
  | 'cache'
  | 'workers'
>;
type Method = (params: unknown) => unknown;

/**
 * Wraps the ports of a storage with parameter validation and normalisation. A call with invalid input rejects and changes
 * nothing.
 */
export function checked<P extends StoragePorts>(ports: P): P {
  const gated = Object.entries(ports).map(([part, port]) => [part, checkedPort(port, CHECKS[part] ?? {})]);
  return Object.fromEntries(gated) as P;
}

function checkedPort<T extends object>(port: T, checks: Readonly<Record<string, Check>>): T {
  const gated: Record<string, Method> = {};
  const own = Object.getPrototypeOf(port) as object;
  for (const method of Object.getOwnPropertyNames(own === Object.prototype ? port : own)) {
    const original = ((port as Record<string, Method>)[method] as Method).bind(port);
    const check = checks[method];
    if (method === 'constructor') continue;
    gated[method] = check ? (params) => callChecked(check, params, original) : original;
  }
  return gated as T;
}

function callChecked(check: Check, params: unknown, method: Method): unknown {
  let normalised: unknown;
  try {
    normalised = check(params, '');
  } catch (thrown) {
    return Promise.reject(refusalOf(thrown));
  }
  return method(normalised);
}

/** A getter or a Proxy may throw anything when it is read. */
function refusalOf(thrown: unknown): OrchestratorError {
  if (thrown instanceof OrchestratorError) return thrown;
  if (thrown instanceof ParamRefused) return thrown.toError();
  return new OrchestratorError(
    'invalid_request',
    `expected readable values, got one that throws: ${messageOf(thrown)}`,
    {
      cause: thrown,
    },
  );
}
