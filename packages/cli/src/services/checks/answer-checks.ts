import { MAX_RESULT_BYTES } from '@agent-orchestrator/core/protocol';
import { type Check, failed, ok } from '../check.js';
import { inWords } from '../exchange.js';
import { dial } from '../service-watch.js';
import type { Subject } from '../subject.js';

/** The check that every other one needs. */
export const REACHABLE = 'reachable';
const TRY_AGAIN_MS = 100;

/** Checks of the response to the first call. */
export const ANSWER_CHECKS: readonly Check[] = [
  {
    name: REACHABLE,
    about: 'the service listens at the URL',
    section: 'requests',
    async run(subject) {
      const until = performance.now() + subject.limits.reachMs;
      for (;;) {
        const code = await dial(subject.options.url);
        if (code === undefined) return ok();
        if (performance.now() > until) return failed(`a connection to ${subject.options.url}`, code);
        await subject.pause(TRY_AGAIN_MS);
      }
    },
  },
  {
    name: 'answers-in-time',
    about: 'answers a call within the time limit',
    section: 'responses',
    needs: [REACHABLE],
    async run(subject) {
      const { exchanges } = await subject.call();
      const [exchange] = exchanges;
      if (exchange?.kind === 'answer') return ok(`${exchange.ms} ms`);
      return failed(
        `an answer over HTTP within ${subject.limits.answerMs} ms`,
        exchange ? inWords(exchange) : 'none',
      );
    },
  },
  {
    name: 'no-redirect',
    about: 'answers without a redirect',
    section: 'responses',
    needs: ['answers-in-time'],
    async run(subject) {
      const { status, headers } = firstAnswer(subject);
      if (status < 300 || status > 399) return ok();
      return failed('no redirect: none is followed', `${status} to ${headers.location ?? 'nowhere'}`);
    },
  },
  {
    name: 'not-compressed',
    about: 'answers without compression, which was not requested',
    section: 'responses',
    needs: ['no-redirect'],
    async run(subject) {
      const { 'content-encoding': encoding = 'identity' } = firstAnswer(subject).headers;
      return encoding === 'identity' ? ok() : failed('no content-encoding', encoding);
    },
  },
  {
    name: 'answer-size',
    about: 'answers with 1 MiB at most',
    section: 'responses',
    needs: ['not-compressed'],
    async run(subject) {
      const { bytes } = firstAnswer(subject);
      if (bytes <= MAX_RESULT_BYTES) return ok(`${bytes} bytes`);
      return failed(`at most ${MAX_RESULT_BYTES} bytes`, 'more');
    },
  },
  {
    name: 'answer',
    about: 'answers with a result (200) or with a job (202)',
    section: 'responses',
    needs: ['answer-size'],
    async run(subject) {
      const { answer } = subject.first;
      if (answer.kind === 'wrong') return failed(answer.expected, answer.got);
      return ok(answer.kind === 'job' ? `202, job ${answer.jobId}` : '200 with the result');
    },
  },
];

function firstAnswer(subject: Subject) {
  const [exchange] = subject.first.exchanges;
  if (exchange?.kind !== 'answer') throw new Error('expected an answer to the first call, got none');
  return exchange;
}
