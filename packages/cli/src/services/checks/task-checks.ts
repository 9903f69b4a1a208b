import { type Check, failed, type Finding, ok, skipped, warning } from '../check.js';
import type { Call, Subject } from '../subject.js';

/** Messages in flight when the cancel arrived may still come, ms. */
const CROSSING_MS = 300;
/** A checker that waits for the processor may be late once. */
const MOST_TRIES = 3;
const TOO_LATE = skipped('the job had ended before it could be cancelled');

/** Whole tasks: cancelled, and completed. */
export const TASK_CHECKS: readonly Check[] = [
  {
    name: 'cancel',
    about: 'stops a cancelled job, or at least keeps serving',
    section: 'cancelled-jobs',
    needs: ['message-ids'],
    jobsOnly: true,
    async run(subject) {
      const link = subject.front.openLink;
      if (!link) return skipped('it keeps no socket, so it cannot receive a cancel');
      let found = await cancelled(subject);
      for (let tries = 1; tries < MOST_TRIES && found.verdict === 'skipped'; tries += 1) {
        found = await cancelled(subject);
      }
      if (found.verdict === 'skipped') return found;
      if (link.closed) return failed('a connection that stays', 'one that was closed after the task_cancel');
      const { answer } = await subject.call();
      return answer.kind === 'wrong' ? failed('the next call to be answered', answer.got) : found;
    },
  },
  {
    name: 'whole-task',
    about: 'completes a task whose calls the orchestrator sends',
    section: 'responses',
    needs: ['answer', 'message-ids'],
    async run(subject) {
      const { signal } = subject;
      const { url } = subject.options;
      const { answerMs, silenceMs, jobMs } = subject.limits;
      const service = { url, timeoutMs: answerMs, silenceMs };
      const task = await subject.hub.runTask(service, { timeoutMs: jobMs, signal });
      signal.throwIfAborted();
      if (task.status === 'completed') return ok();
      const { code, message } = task.error ?? { code: 'timeout', message: 'it did not end' };
      return failed('a completed task', `${task.status}: ${code}, ${message}`);
    },
  },
];

/** Fate of a cancelled job. */
async function cancelled(subject: Subject): Promise<Finding> {
  const call = await subject.call();
  const { task_id, tenant_id } = call.body;
  if (subject.outcomesOf(call).length > 0) return TOO_LATE;
  if (!(await subject.hub.cancel(tenant_id, task_id))) return TOO_LATE;
  await hasReadCancel(subject, call);
  return goesOn(subject, call, performance.now());
}

/** Waits until the service has read the cancel: its pong answers a ping sent after it on the same socket. */
async function hasReadCancel(subject: Subject, call: Call): Promise<void> {
  const { front, limits } = subject;
  const isOver = () => subject.outcomesOf(call).some(({ outcome }) => outcome === 'applied');
  const cancelledLink = () => front.links.find(({ givenUp }) => givenUp.has(call.body.call_id));
  await subject.within(limits.pongMs, () => cancelledLink() ?? (isOver() || undefined));
  const link = cancelledLink();
  if (!link || link.closed) return;
  const before = link.pongs;
  link.ping();
  await subject.within(limits.pongMs, () => link.closed || link.pongs > before || undefined);
}

/** Observes for the duration of a job. */
async function goesOn(subject: Subject, call: Call, cancelledAt: number): Promise<Finding> {
  const { first, limits } = subject;
  const tookMs = (subject.outcomesOf(first)[0]?.at ?? 0) - first.answeredAt;
  await subject.pause(CROSSING_MS + limits.watchMs + Math.max(0, tookMs));
  const outcome = subject.outcomesOf(call)[0];
  if (outcome?.outcome === 'applied') return TOO_LATE;
  const after = subject.reportsOf(call).filter(({ at }) => at > cancelledAt + CROSSING_MS);
  if (after.length === 0) return ok('it is silent from then on');
  return warning(`${after.length} notifications after the cancel: wasted work`);
}
