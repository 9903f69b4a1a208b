import { type Issue, type JsonObject, type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import {
  ackSchema,
  type AckOutcome,
  JsonRefusedError,
  notificationSchema,
  parseJson,
  validate,
} from '@agent-orchestrator/core/protocol';
import { shortened } from './exchange.js';

/** Characters shown: notifications begin with long ids. */
const SHOWN = 400;

/** A notification of the service, and its fate. */
export interface Report {
  /** By `performance.now()`. */
  readonly at: number;
  readonly by: 'socket' | 'http';
  /** The beginning of the text. */
  readonly text: string;
  /** Absent unless it is a JSON object. */
  readonly frame: JsonObject | undefined;
  readonly messageId: string | undefined;
  /** Violations of the schema; empty for a valid one. */
  readonly issues: readonly Issue[];
  /** `cut`: the connection, instead of an ack. `put_off`: the ack said `retry_later`. */
  fate: 'passed_on' | 'cut' | 'put_off';
  /** The hub's ack. */
  outcome?: AckOutcome;
}

export function readReport(text: string, by: Report['by']): Report {
  const base = { at: performance.now(), by, text: shortened(text, SHOWN), fate: 'passed_on' } as const;
  let frame: JsonValue;
  try {
    frame = parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonRefusedError)) throw error;
    const issue = { path: '', expected: 'JSON', got: error.reason.replace(/^.*got /, '') };
    return { ...base, frame: undefined, messageId: undefined, issues: [issue] };
  }
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) {
    const issue = { path: '', expected: 'a JSON object', got: 'something else' };
    return { ...base, frame: undefined, messageId: undefined, issues: [issue] };
  }
  const { message_id: id } = frame;
  const messageId = typeof id === 'string' && id !== '' ? id : undefined;
  return { ...base, frame, messageId, issues: issuesOf(frame) };
}

/** A frame that may be binary. */
export function unreadableReport(got: string): Report {
  const issue = { path: '', expected: 'a text frame', got };
  return {
    at: performance.now(),
    by: 'socket',
    text: got,
    frame: undefined,
    messageId: undefined,
    issues: [issue],
    fate: 'passed_on',
  };
}

function issuesOf(frame: JsonObject): readonly Issue[] {
  try {
    validate(notificationSchema, frame, 'notification', 'invalid_message');
    return [];
  } catch (error) {
    if (error instanceof OrchestratorError) return error.issues ?? [];
    throw error;
  }
}

const OUTCOMES = new Set(['task_completed', 'task_failed', 'job_completed', 'job_failed']);

/** Whether it ends its call, even if otherwise invalid. */
export function isOutcome({ frame }: Report): boolean {
  return typeof frame?.['event'] === 'string' && OUTCOMES.has(frame['event']);
}

/** Job id of the report. */
export function jobOf({ frame }: Report): JsonValue | undefined {
  return frame?.['task_id'] ?? frame?.['job_id'];
}

/** Content of an outcome without the fields that differ between resends. */
export function contentOf({ frame }: Report): JsonValue[] {
  return [frame?.['event'] ?? null, frame?.['data'] ?? frame?.['result'] ?? frame?.['error'] ?? null];
}

/** Progress after the outcome among all reports of one call. Resent progress came before, once. */
export function lateProgress(reports: readonly Report[]): Report | undefined {
  const end = reports.findIndex(isOutcome);
  return reports.find((report, at) => {
    if (end < 0 || at <= end || isOutcome(report)) return false;
    const { messageId } = report;
    return messageId === undefined || reports.find((each) => each.messageId === messageId) === report;
  });
}

/** Parses an ack of the hub. */
export function readAck(
  text: string,
): { readonly message_id: string; readonly outcome: AckOutcome } | undefined {
  try {
    const { success, data } = ackSchema.safeParse(JSON.parse(text));
    return success ? data : undefined;
  } catch {
    // Not JSON: not an ack.
    return undefined;
  }
}
