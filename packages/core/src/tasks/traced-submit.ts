import type { Submission } from '../storage/task-records.js';
import { activeTraceparent } from '../tracing/spans.js';
import { startSubmitSpan } from '../tracing/task-spans.js';

/**
 * Stores a submission in a span, whose `traceparent` the task keeps: its runs are children of it, in any process. Without an SDK the
 * task keeps that of the submission. No part of the request's fingerprint, so a repeat with another span is a repeat.
 */
export async function tracedSubmit<T>(
  tenantId: string,
  submission: Submission,
  store: (submission: Submission) => Promise<T>,
): Promise<T> {
  const { task } = submission;
  const { task_id, type, session_id } = task;
  const about = { task_id, type, tenant_id: tenantId, ...(session_id !== undefined && { session_id }) };
  const span = startSubmitSpan(about, activeTraceparent() ?? task.metadata.traceparent);
  if (!span) return store(submission);
  const metadata = { ...task.metadata, traceparent: span.traceparent };
  try {
    const stored = await store({ ...submission, task: { ...task, metadata } });
    span.end();
    return stored;
  } catch (error) {
    const { code = 'internal_error' } = error as { readonly code?: string };
    span.end({ code });
    throw error;
  }
}

/** An item of a batch belongs to the trace of the request; it has no span of its own, for a batch may have a thousand. */
export function inActiveTrace<T extends object>(item: Submission | T): Submission | T {
  const traceparent = activeTraceparent();
  if (traceparent === undefined || !('task' in item)) return item;
  const { task } = item;
  return { ...item, task: { ...task, metadata: { ...task.metadata, traceparent } } };
}
