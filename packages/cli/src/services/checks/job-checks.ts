import { type Check, failed, type Finding, ok, skipped, warning } from '../check.js';
import { contentOf, isOutcome, lateProgress, type Report } from '../report.js';
import { type Call, namesJob, type Subject } from '../subject.js';

/** Checks of the reports on the job of the first call. */
export const JOB_CHECKS: readonly Check[] = [
  {
    name: 'connects',
    about: 'contacts the hub, by socket or HTTP',
    section: 'notifications',
    needs: ['answer'],
    async run(subject) {
      const { front, first } = subject;
      const contact = () => {
        if (subject.isInTouch) return ok(front.links.length > 0 ? 'by socket' : 'over HTTP');
        return front.links.some((link) => link.refusal !== undefined) ? refused(subject) : undefined;
      };
      if (first.answer.kind !== 'job') return contact() ?? skipped('no job to report on, and no connection');
      return (
        (await subject.reported(first, contact)) ??
        failed(`a socket at ${front.url}/ws/task_updates, or notifications over HTTP`, dialled(subject))
      );
    },
  },
  {
    name: 'reports',
    about: 'reports on a job in time',
    section: 'notifications',
    needs: ['connects'],
    jobsOnly: true,
    async run(subject) {
      const { first } = subject;
      const report = await subject.reported(first, () => subject.front.reports[0]);
      if (report) return ok(`after ${Math.max(0, Math.round(report.at - first.answeredAt))} ms`);
      return failed(`a notification within ${subject.limits.silenceMs} ms`, 'none');
    },
  },
  {
    name: 'valid-notifications',
    about: 'sends valid notifications',
    section: 'notifications',
    needs: ['reports'],
    jobsOnly: true,
    async run(subject) {
      const { front, first, limits } = subject;
      await subject.reported(first, () => front.reports.find((each) => isOutcome(each) || isInvalid(each)));
      // A message that must not arrive may arrive late.
      await subject.pause(limits.watchMs);
      const bad = front.reports.find(isInvalid);
      const [issue] = bad?.issues ?? [];
      if (!bad || !issue) return ok(`${front.reports.length} notifications`);
      const where = issue.path === '' ? '' : `"${issue.path}": `;
      return failed(`${where}${issue.expected}`, `${where}${issue.got} in ${bad.text}`);
    },
  },
  {
    name: 'names-its-call',
    about: 'identifies the call in each notification',
    section: 'notifications',
    needs: ['valid-notifications'],
    jobsOnly: true,
    async run(subject) {
      for (const report of subject.front.reports) {
        const fault = misnamed(report, subject.first);
        if (fault) return fault;
      }
      return ok();
    },
  },
  {
    name: 'outcome',
    about: 'reports the outcome, and the hub accepts it',
    section: 'notifications',
    needs: ['names-its-call'],
    jobsOnly: true,
    async run(subject) {
      const { first } = subject;
      const report = await subject.reported(first, () =>
        subject.front.reports.find((each) => isOutcome(each) && each.outcome !== undefined),
      );
      if (!report) {
        const came = subject.front.reports.length;
        return failed(
          'task_completed or task_failed',
          `${came} notifications that end nothing, then silence`,
        );
      }
      if (report.outcome !== 'applied') return failed('an outcome that the hub takes', `"${report.outcome}"`);
      const [event] = contentOf(report);
      return event === 'task_failed' || event === 'job_failed'
        ? failed('a job that is done, for an input that is good', report.text)
        : ok(`after ${Math.max(0, Math.round(report.at - first.answeredAt))} ms`);
    },
  },
  {
    name: 'message-ids',
    about: 'gives each notification a message_id of its own',
    section: 'notifications',
    needs: ['outcome'],
    jobsOnly: true,
    async run(subject) {
      const reports = subject.reportsOf(subject.first);
      const without = reports.filter((report) => report.messageId === undefined).length;
      if (without > 0) {
        const some = without === reports.length ? 'none' : `${reports.length - without} of ${reports.length}`;
        return warning(`${some} has one: what is lost on the way is lost`);
      }
      const contents = new Map<string | undefined, string>();
      for (const report of reports) {
        const content = JSON.stringify(contentOf(report));
        if ((contents.get(report.messageId) ?? content) !== content) {
          return failed('a message_id for each', `"${report.messageId}" for two notifications`);
        }
        contents.set(report.messageId, content);
      }
      return ok();
    },
  },
  {
    name: 'one-outcome',
    about: 'reports the outcome of a job once, or again with the same message_id',
    section: 'notifications',
    needs: ['outcome'],
    jobsOnly: true,
    async run(subject) {
      const [one, ...others] = subject.outcomesOf(subject.first);
      const other = others.find(({ messageId }) => messageId === undefined || messageId !== one?.messageId);
      return other ? failed('one outcome of a job', `${one?.text} and ${other.text}`) : ok();
    },
  },
  {
    name: 'progress-first',
    about: 'reports progress before the outcome, not after it',
    section: 'notifications',
    needs: ['outcome'],
    jobsOnly: true,
    async run(subject) {
      const reports = subject.reportsOf(subject.first);
      if (reports.every(isOutcome)) return skipped('it reports no progress');
      const late = lateProgress(reports);
      return late ? failed('nothing after the outcome', late.text) : ok();
    },
  },
];

function isInvalid({ issues }: Report): boolean {
  return issues.length > 0;
}

function refused({ front }: Subject): Finding {
  const link = front.links.find(({ refusal }) => refusal !== undefined);
  return failed('a first frame with the name and the token of the service', `refused: ${link?.refusal}`);
}

function dialled({ front }: Subject): string {
  const [path] = front.strayPaths;
  if (path !== undefined) return `a socket that was asked for at ${path}`;
  if (front.links.length > 0) return 'a connection that has said nothing';
  return 'nothing';
}

function misnamed(report: Report, call: Call): Finding | undefined {
  const { frame } = report;
  const { call_id, tenant_id } = call.body;
  if (frame?.['tenant_id'] !== tenant_id) {
    return failed(`"tenant_id": "${tenant_id}"`, JSON.stringify(frame?.['tenant_id']));
  }
  if (report.outcome === 'forbidden') {
    return failed('"service": the name that belongs to the token', JSON.stringify(frame['service']));
  }
  if (frame['call_id'] === call_id || namesJob(report, call)) return undefined;
  const job = call.answer.kind === 'job' ? call.answer.jobId : '';
  const { task_id = null, call_id: said = null } = frame;
  return failed(
    `"call_id": "${call_id}" or "task_id": "${job}"`,
    JSON.stringify({ call_id: said, task_id: frame['job_id'] ?? task_id }),
  );
}
