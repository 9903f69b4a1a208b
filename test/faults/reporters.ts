import { randomUUID } from 'node:crypto';
import type { ServiceCall } from '@agent-orchestrator/core';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { notifierOf, TOKENS } from './killable-hub.js';
import type { TryPlan, Notice } from './service-plans.js';

/** A reporter for a service to report on its calls. */
export interface Reporter {
  report(call: ServiceCall, job: string, plan: TryPlan, notice: Notice): void;
  /** Number of notifications without an ack. */
  pending(): number;
}

/** Reports with the notifier. */
export function byNotifier(url: string): Reporter {
  const notifier = notifierOf('query', url);
  return {
    pending: () => notifier.pending,
    report(call, job, plan, notice) {
      const about = aboutOf(call, job, plan);
      if (notice.kind === 'progress') void notifier.notifyTaskStatus({ ...about, status: notice.status });
      else if (notice.kind === 'completed') {
        void notifier.notifyTaskCompletion({ ...about, result: notice.result });
      } else {
        const { error, retryable } = notice;
        void notifier.notifyTaskFailure({ ...about, error, error_type: 'Trouble', retryable });
      }
    },
  };
}

/** Reports with frames of its own; those with a `message_id` are kept until they are acknowledged. */
export async function byRawFrames(url: string, acknowledged: boolean): Promise<Reporter> {
  const socket = new WebSocket(`${url}/ws/task_updates`);
  onTestFinished(() => socket.terminate());
  const unacked = new Map<string, string>();
  const putOff = new Set<string>();
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('open', () =>
      socket.send(JSON.stringify({ service_token: TOKENS.query, service_name: 'query' })),
    );
    socket.once('message', () => resolve());
  });
  socket.on('message', (data: Buffer) => {
    const frame = JSON.parse(data.toString()) as Record<string, unknown>;
    const id = String(frame['message_id']);
    const text = unacked.get(id);
    if (frame['event'] !== 'ack' || text === undefined) return;
    if (frame['outcome'] !== 'retry_later') unacked.delete(id);
    else if (!putOff.has(id)) {
      // Once per repeated ack: else each try would make nine more.
      putOff.add(id);
      setTimeout(() => send(id, text), Number(frame['retry_after_ms']));
    }
  });
  const send = (id: string, text: string) => {
    putOff.delete(id);
    if (unacked.has(id) && socket.readyState === socket.OPEN) socket.send(text);
  };
  return {
    pending: () => unacked.size,
    report(call, job, plan, notice) {
      const frame = { ...frameOf(notice), service: 'query', ...aboutOf(call, job, plan) };
      if (!acknowledged) {
        socket.send(JSON.stringify(frame));
        return;
      }
      const id = randomUUID();
      const text = JSON.stringify({ ...frame, message_id: id });
      unacked.set(id, text);
      socket.send(text);
    },
  };
}

function aboutOf(call: ServiceCall, job: string, { named }: TryPlan) {
  return {
    task_id: job,
    tenant_id: call.tenant_id,
    ...(named === 'by call' && { call_id: call.call_id }),
    ...(named === 'by task' && { global_task_id: call.task_id }),
  };
}

function frameOf(notice: Notice): object {
  if (notice.kind === 'progress') return { event: 'task_status_update', data: { status: notice.status } };
  if (notice.kind === 'completed') return { event: 'task_completed', data: notice.result };
  const { error, retryable } = notice;
  return { event: 'task_failed', data: { error, error_type: 'Trouble', retryable } };
}
