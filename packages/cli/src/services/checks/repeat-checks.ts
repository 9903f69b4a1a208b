import { isDeepStrictEqual } from 'node:util';
import { type Check, failed, type Finding, ok } from '../check.js';
import { type Answer, answerOf, type Exchange, inWords, isPassing, shortened } from '../exchange.js';
import { contentOf, isOutcome, lateProgress } from '../report.js';
import type { Call, Subject } from '../subject.js';

const MOST_SENDS = 5;
const AGAIN_MS = 200;

/** A lost response, and the resent call. */
export const REPEAT_CHECKS: readonly Check[] = [
  {
    name: 'same-call-again',
    about: 'gives the same answer to a repeated call_id, without repeating the work',
    section: 'repeated-calls',
    needs: ['answer', 'one-outcome', 'progress-first'],
    async run(subject) {
      const call = await subject.call();
      await ended(subject, call);
      const exchange = await insisting(subject, call, await subject.again(call));
      return difference(call.answer, exchange) ?? workedTwice(subject, call);
    },
  },
  {
    name: 'same-call-at-once',
    about: 'gives the same answer to a repeated call_id while the first is in progress',
    section: 'repeated-calls',
    needs: ['same-call-again'],
    async run(subject) {
      const call = await subject.call({ times: 2 });
      const settled: Exchange[] = [];
      for (const exchange of [...call.exchanges]) settled.push(await insisting(subject, call, exchange));
      const [one, other] = settled as [Exchange, Exchange];
      const answer = answerOf(one);
      if (answer.kind === 'wrong') return failed(answer.expected, answer.got);
      const found = difference(answer, other);
      if (found) return found;
      await ended(subject, call);
      return workedTwice(subject, call);
    },
  },
];

/** Resends after a retryable answer, as an orchestrator does. */
async function insisting(subject: Subject, call: Call, first: Exchange): Promise<Exchange> {
  let exchange = first;
  for (let sent = 1; sent < MOST_SENDS; sent += 1) {
    if (exchange.kind === 'answer' && !isPassing(exchange.status)) break;
    await subject.pause(AGAIN_MS * sent);
    exchange = await subject.again(call);
  }
  return exchange;
}

/** Waits for the end of the job, if any. */
async function ended(subject: Subject, call: Call): Promise<void> {
  if (call.answer.kind !== 'job') return;
  await subject.reported(call, () => subject.outcomesOf(call).find(({ outcome }) => outcome !== undefined));
}

function difference(before: Answer, exchange: Exchange): Finding | undefined {
  const now = answerOf(exchange);
  if (now.kind === 'job' && before.kind === 'job') {
    return now.jobId === before.jobId
      ? undefined
      : failed(`the job of before, "${before.jobId}"`, `another one, "${now.jobId}"`);
  }
  if (now.kind === 'result' && before.kind === 'result') {
    return isDeepStrictEqual(now.result, before.result)
      ? undefined
      : failed(
          `the result of before, ${shortened(JSON.stringify(before.result))}`,
          `another one, ${shortened(JSON.stringify(now.result))}`,
        );
  }
  return failed(
    before.kind === 'job' ? `202 and the job "${before.jobId}"` : '200 and the result',
    inWords(exchange),
  );
}

/** As far as observable from outside. */
async function workedTwice(subject: Subject, call: Call): Promise<Finding> {
  if (call.answer.kind !== 'job') return ok('whether the work was done once can only be guessed from that');
  await subject.pause(subject.limits.watchMs);
  const reports = subject.reportsOf(call);
  const [one, ...others] = reports.filter(isOutcome);
  const other = others.find((report) => !isDeepStrictEqual(contentOf(report), one && contentOf(one)));
  if (other) return failed('one outcome', `another one, ${other.text}`);
  const progress = lateProgress(reports);
  return progress ? failed('no more progress once the job is done', progress.text) : ok();
}
