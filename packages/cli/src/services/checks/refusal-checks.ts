import { type Check, failed, type Finding, ok, skipped } from '../check.js';
import { type Exchange, inWords, isFinalRefusal, problemCode } from '../exchange.js';
import { REACHABLE } from './answer-checks.js';

const UNKNOWN_OPERATION = 'no_such_operation';

/** Requests that a service has to refuse, and how. */
export const REFUSAL_CHECKS: readonly Check[] = [
  {
    name: 'unknown-operation',
    about: 'refuses an unknown operation, not retryable, with a code',
    section: 'responses',
    needs: [REACHABLE],
    async run(subject) {
      const body = subject.madeUpCall({}, UNKNOWN_OPERATION);
      return refusedWithCode(await subject.post({ body, operation: UNKNOWN_OPERATION }));
    },
  },
  {
    name: 'not-json',
    about: 'refuses a body that is not JSON, not retryable',
    section: 'responses',
    needs: [REACHABLE],
    async run(subject) {
      const exchange = await subject.post({ body: '{"call_id": ' });
      return isFinalRefusal(exchange)
        ? ok(String(exchange.status))
        : failed('a final 4xx', inWords(exchange));
    },
  },
  {
    name: 'wrong-token',
    about: 'refuses a caller with another token',
    section: 'requests',
    needs: [REACHABLE],
    async run(subject) {
      const { token } = subject.options;
      const wrong = token.slice(0, -1) + (token.endsWith('x') ? 'y' : 'x');
      return denied(await subject.post({ body: subject.madeUpCall(), token: wrong }));
    },
  },
  {
    name: 'no-token',
    about: 'refuses a caller without a token',
    section: 'requests',
    needs: [REACHABLE],
    run: async (subject) => denied(await subject.post({ body: subject.madeUpCall(), token: null })),
  },
  {
    name: 'bad-input',
    about: 'refuses invalid input, not retryable, with a code',
    section: 'responses',
    needs: [REACHABLE],
    async run(subject) {
      const { badInput } = subject.options;
      if (badInput === undefined) return skipped('no --bad-input');
      return refusedWithCode(await subject.post({ body: subject.madeUpCall(badInput) }));
    },
  },
];

function refusedWithCode(exchange: Exchange): Finding {
  const expected = 'a final 4xx with a "code" in its body';
  if (!isFinalRefusal(exchange)) return failed(expected, inWords(exchange));
  const code = problemCode(exchange);
  return code === undefined ? failed(expected, inWords(exchange)) : ok(`${exchange.status} ${code}`);
}

function denied(exchange: Exchange): Finding {
  const isDenied = exchange.kind === 'answer' && (exchange.status === 401 || exchange.status === 403);
  return isDenied ? ok(String(exchange.status)) : failed('401 or 403', inWords(exchange));
}
