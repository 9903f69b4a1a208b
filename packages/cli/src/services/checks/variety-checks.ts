import { type Check, failed, type Finding, ok } from '../check.js';
import { inWords, isPassing } from '../exchange.js';
import { type Call, OTHER_TENANT, type Subject, TENANT } from '../subject.js';

const MANY = 5;
const LARGE_BYTES = 900 * 1024;

/** Calls that differ from the first in details a service must ignore. */
export const VARIETY_CHECKS: readonly Check[] = [
  {
    name: 'extra-fields',
    about: 'accepts a call with unknown fields',
    section: 'requests',
    needs: ['answer'],
    async run(subject) {
      const more = { not_known_yet: { any: ['thing'] }, metadata: { user_id: null, not_known_yet: 1 } };
      return taken(await subject.call({ more }));
    },
  },
  {
    name: 'large-call',
    about: 'accepts a call of almost 1 MiB',
    section: 'requests',
    needs: ['extra-fields'],
    run: async (subject) => taken(await subject.call({ more: { not_known_yet: 'x'.repeat(LARGE_BYTES) } })),
  },
  {
    name: 'with-session',
    about: 'accepts a call within a session',
    section: 'requests',
    needs: ['answer'],
    run: async (subject) => taken(await subject.call({ session: 'check-session' })),
  },
  {
    name: 'two-tenants',
    about: 'serves two tenants, and reports to each its own jobs',
    section: 'requests',
    needs: ['answer', 'message-ids'],
    async run(subject) {
      const calls = await Promise.all([
        subject.call({ tenant: TENANT }),
        subject.call({ tenant: OTHER_TENANT }),
      ]);
      return firstFault(calls) ?? (await allEnd(subject, calls));
    },
  },
  {
    name: 'many-at-once',
    about: `serves ${MANY} calls at once, each as a job of its own`,
    section: 'requests',
    needs: ['two-tenants'],
    async run(subject) {
      const calls = await Promise.all(Array.from({ length: MANY }, () => subject.call()));
      const served = calls.filter(({ exchanges: [exchange] }) => {
        return exchange?.kind !== 'answer' || !isPassing(exchange.status);
      });
      const fault = firstFault(served);
      if (fault) return fault;
      const jobs = served.flatMap(({ answer }) => (answer.kind === 'job' ? [answer.jobId] : []));
      const twice = jobs.find((job, at) => jobs.indexOf(job) !== at);
      if (twice !== undefined) return failed('a job_id for each call', `"${twice}" for two of them`);
      const found = await allEnd(subject, served);
      const putOff = calls.length - served.length;
      return found.verdict === 'ok' && putOff > 0 ? ok(`${putOff} of them were put off`) : found;
    },
  },
];

function taken({ answer }: Call): Finding {
  return answer.kind === 'wrong' ? failed(answer.expected, answer.got) : ok();
}

function firstFault(calls: readonly Call[]): Finding | undefined {
  const bad = calls.find(({ answer }) => answer.kind === 'wrong');
  const [exchange] = bad?.exchanges ?? [];
  return exchange && failed('200 or 202 for each call', inWords(exchange));
}

/** Waits for acks of all outcomes. */
async function allEnd(subject: Subject, calls: readonly Call[]): Promise<Finding> {
  const jobs = calls.filter(({ answer }) => answer.kind === 'job');
  const [last] = jobs.toSorted((one, other) => other.answeredAt - one.answeredAt);
  if (!last) return ok();
  const open = () =>
    jobs.filter((call) => !subject.outcomesOf(call).some(({ outcome }) => outcome === 'applied'));
  await subject.reported(last, () => (open().length === 0 ? true : undefined));
  const [silent] = open();
  if (!silent) return ok();
  const { tenant_id } = silent.body;
  const said = subject.outcomesOf(silent).at(-1);
  return failed(
    `the outcomes of ${jobs.length} jobs, each for its own tenant`,
    said ? `"${said.outcome}" for ${said.text}` : `none of a job of tenant ${tenant_id}`,
  );
}
