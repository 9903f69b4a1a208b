import { OrchestratorError } from '../protocol/errors.js';
import { DEFAULTS } from '../protocol/settings.js';
import { messageOf } from '../protocol/thrown.js';
import type { Storage } from './storage.js';
import {
  amount,
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
import {
  MESSAGE,
  MAX_TICKET,
  tenantId,
  inTask,
  inLease,
  rate,
  dimension,
  cached,
  inSession,
  limit,
  journalRev,
  after,
  reason,
  error,
  message,
  newTask,
  submission,
  taskFilter,
  idempotency,
  maxWaiting,
  batchItem,
  runs,
  settlement,
  step,
  record,
  report,
  tenantChange,
  usageAddition,
} from './param-shapes.js';

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
    configure: tenantChange,
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
    add: usageAddition,
    sum: fields({ tenantId, from: day, to: day, by: optional(filled(list(dimension, 7))) }),
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
