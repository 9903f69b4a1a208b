import {
  ackSchema,
  type AckOutcome,
  type Issue,
  JsonRefusedError,
  type JsonObject,
  type JsonValue,
  notificationSchema,
  OrchestratorError,
  parseJson,
  validate,
} from '@agent-orchestrator/core';
import { shortened } from './exchange.js';

/** The ids at the beginning of a notification are long. */
const SHOWN = 400;

/** A notification of the service, and what became of it. */
export interface Report {
  /** On the clock of `performance`. */
  readonly at: number;
  readonly by: 'socket' | 'http';
  /** The beginning of what came. */
  readonly text: string;
  /** Absent when it is no JSON object. */
  readonly frame: JsonObject | undefined;
  readonly messageId: string | undefined;
  /** What is wrong with it; empty for a valid one. */
  readonly issues: readonly Issue[];
  /** What the check did with it. `cut`: the connection, instead of an ack. `put_off`: the ack said `retry_later`. */
  fate: 'passed_on' | 'cut' | 'put_off';
  /** What the hub said of it. */
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

/** A frame that may not be text at all. */
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

/** Whether it ends its call, however wrong the rest of it may be. */
export function isOutcome({ frame }: Report): boolean {
  return typeof frame?.['event'] === 'string' && OUTCOMES.has(frame['event']);
}

/** The job that it names. */
export function jobOf({ frame }: Report): JsonValue | undefined {
  return frame?.['task_id'] ?? frame?.['job_id'];
}

/** What an outcome says, without what differs from one sending to the next. */
export function contentOf({ frame }: Report): JsonValue[] {
  return [frame?.['event'] ?? null, frame?.['data'] ?? frame?.['result'] ?? frame?.['error'] ?? null];
}

/** Progress that came after the outcome, among all reports of one call. What is sent again came before, once. */
export function lateProgress(reports: readonly Report[]): Report | undefined {
  const end = reports.findIndex(isOutcome);
  return reports.find((report, at) => {
    if (end < 0 || at <= end || isOutcome(report)) return false;
    const { messageId } = report;
    return messageId === undefined || reports.find((each) => each.messageId === messageId) === report;
  });
}

/** The ack in a text of the hub, if it is one. */
export function readAck(
  text: string,
): { readonly message_id: string; readonly outcome: AckOutcome } | undefined {
  try {
    const { success, data } = ackSchema.safeParse(JSON.parse(text));
    return success ? data : undefined;
  } catch {
    // What is no JSON is no ack.
    return undefined;
  }
}
