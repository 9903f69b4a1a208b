import { randomUUID } from 'node:crypto';
import type { ServiceCall } from '@agent-orchestrator/core';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { notifierOf, TOKENS } from './killable-hub.js';
import type { TryPlan, Word } from './service-plans.js';

/** How a service tells the hub what became of a call. */
export interface ReportingWay {
  tell(call: ServiceCall, job: string, plan: TryPlan, word: Word): void;
  /** What has no ack yet. */
  pending(): number;
}

/** As services do that use the notifier. */
export function byNotifier(url: string): ReportingWay {
  const notifier = notifierOf('query', url);
  return {
    pending: () => notifier.pending,
    tell(call, job, plan, word) {
      const about = aboutOf(call, job, plan);
      if (word.say === 'progress') void notifier.notifyTaskStatus({ ...about, status: word.status });
      else if (word.say === 'completed') {
        void notifier.notifyTaskCompletion({ ...about, result: word.result });
      } else {
        const { error, retryable } = word;
        void notifier.notifyTaskFailure({ ...about, error, error_type: 'Trouble', retryable });
      }
    },
  };
}

/** As services do that write frames themselves; those with a `message_id` are kept until they are acknowledged. */
export async function byRawFrames(url: string, acknowledged: boolean): Promise<ReportingWay> {
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
      // Once, however often it is said: else each try would make nine more.
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
    tell(call, job, plan, word) {
      const frame = { ...frameOf(word), service: 'query', ...aboutOf(call, job, plan) };
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

function frameOf(word: Word): object {
  if (word.say === 'progress') return { event: 'task_status_update', data: { status: word.status } };
  if (word.say === 'completed') return { event: 'task_completed', data: word.result };
  const { error, retryable } = word;
  return { event: 'task_failed', data: { error, error_type: 'Trouble', retryable } };
}
