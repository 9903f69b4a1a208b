import {
  isFinal,
  type JsonValue,
  type Task,
  type TaskReceipt,
  type TenantHandle,
} from '@agent-orchestrator/core';
import type { NeutralAnswer, NeutralRequest } from './neutral-request.js';
import { json, replayed, type RouteServices } from './route.js';

/** Maximum of `Prefer: wait`, ms. */
const MAX_WAIT_MS = 60_000;
const WAIT = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?/i;

/** `wait=N` (seconds) of a `Prefer` header, in ms; at most 60 s. */
function waitMsOf(prefer: string | undefined): number {
  const seconds = prefer === undefined ? undefined : WAIT.exec(prefer)?.[1];
  return seconds === undefined ? 0 : Math.min(Number(seconds) * 1000, MAX_WAIT_MS);
}

interface Submitted {
  readonly request: NeutralRequest;
  readonly services: RouteServices;
  readonly tenant: TenantHandle;
  readonly accepted: TaskReceipt;
}

/** 202 with links; 200 with the outcome if the caller asked to wait and the task ended in time. */
export async function acceptedAnswer(submitted: Submitted): Promise<NeutralAnswer> {
  const { request, accepted } = submitted;
  const waitMs = waitMsOf(request.headers['prefer']);
  const task = waitMs > 0 ? await waited(submitted, waitMs) : accepted.task;
  const ended = waitMs > 0 && isFinal(task.status);
  const headers = {
    location: `${request.prefix}/v1/tasks/${task.task_id}`,
    ...replayed(accepted.replayed),
    ...(waitMs > 0 && { 'preference-applied': `wait=${waitMs / 1000}` }),
  };
  const body = {
    task_id: task.task_id,
    ...(task.session_id !== undefined && { session_id: task.session_id }),
    status: task.status,
    cursor: accepted.cursor,
    links: linksOf(task, request.prefix),
    ...(ended && outcomeOf(task)),
  };
  return json(ended ? 200 : 202, body, headers);
}

async function waited({ tenant, accepted, request, services }: Submitted, timeoutMs: number): Promise<Task> {
  const signal = AbortSignal.any([request.signal, services.stopping]);
  try {
    return await tenant.tasks.wait(accepted.task.task_id, { timeoutMs, signal });
  } catch (error) {
    // At shutdown or disconnect the task is stored all the same, and that is the response.
    if (signal.aborted) return accepted.task;
    throw error;
  }
}

function linksOf(task: Task, prefix: string): Record<string, string> {
  const self = `${prefix}/v1/tasks/${task.task_id}`;
  const session =
    task.session_id === undefined ? {} : { session: `${prefix}/v1/sessions/${task.session_id}` };
  return { self, events: `${self}/events`, cancel: `${self}/cancel`, ...session };
}

function outcomeOf(task: Task): object {
  const content = task.status === 'completed' ? contentOf(task.result) : undefined;
  return {
    ...(content !== undefined && { message: { role: 'assistant', content } }),
    ...(task.result !== undefined && { result: task.result }),
    ...(task.error && { error: task.error }),
    ...(task.usage && { usage: task.usage }),
  };
}

/** Text of an answer: the result if it is a string, or its `content`. */
function contentOf(result: JsonValue | undefined): string | undefined {
  if (typeof result === 'string') return result;
  if (result === null || typeof result !== 'object' || Array.isArray(result)) return undefined;
  return typeof result['content'] === 'string' ? result['content'] : undefined;
}
