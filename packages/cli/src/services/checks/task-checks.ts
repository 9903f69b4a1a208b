import { type Check, failed, type Finding, ok, skipped, warning } from '../check.js';
import type { Call, Subject } from '../subject.js';

/** What was under way when the cancel came in may still come. */
const CROSSING_MS = 300;
/** A checker that has to wait for the processor may come too late once. */
const MOST_TRIES = 3;
const TOO_LATE = skipped('the job had ended before it could be cancelled');

/** Tasks as a whole: given up half-way, and brought to their end. */
export const TASK_CHECKS: readonly Check[] = [
  {
    name: 'cancel',
    about: 'stops a job that nobody waits for any more, or at least goes on serving',
    section: 'when-nobody-waits-any-more',
    needs: ['message-ids'],
    jobsOnly: true,
    async run(subject) {
      const link = subject.front.openLink;
      if (!link) return skipped('it keeps no socket, so it can not be told');
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
    about: 'brings a task to its end when the orchestrator itself makes the calls',
    section: 'what-you-may-answer',
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

/** What becomes of a job that is cancelled. */
async function cancelled(subject: Subject): Promise<Finding> {
  const call = await subject.call();
  const { task_id, tenant_id } = call.body;
  if (subject.outcomesOf(call).length > 0) return TOO_LATE;
  if (!(await subject.hub.cancel(tenant_id, task_id))) return TOO_LATE;
  await hasReadCancel(subject, call);
  return goesOn(subject, call, performance.now());
}

/** Waits until the service has read the cancel: its pong answers a ping that came behind it on the same socket. */
async function hasReadCancel(subject: Subject, call: Call): Promise<void> {
  const { front, limits } = subject;
  const isOver = () => subject.outcomesOf(call).some(({ outcome }) => outcome === 'applied');
  const told = () => front.links.find(({ givenUp }) => givenUp.has(call.body.call_id));
  await subject.within(limits.pongMs, () => told() ?? (isOver() || undefined));
  const link = told();
  if (!link || link.closed) return;
  const before = link.pongs;
  link.ping();
  await subject.within(limits.pongMs, () => link.closed || link.pongs > before || undefined);
}

/** Listens for as long as a job takes. */
async function goesOn(subject: Subject, call: Call, cancelledAt: number): Promise<Finding> {
  const { first, limits } = subject;
  const tookMs = (subject.outcomesOf(first)[0]?.at ?? 0) - first.answeredAt;
  await subject.pause(CROSSING_MS + limits.watchMs + Math.max(0, tookMs));
  const outcome = subject.outcomesOf(call)[0];
  if (outcome?.outcome === 'applied') return TOO_LATE;
  const after = subject.reportsOf(call).filter(({ at }) => at > cancelledAt + CROSSING_MS);
  if (after.length === 0) return ok('it is silent from then on');
  return warning(`${after.length} notifications after the cancel: the work is in vain`);
}
