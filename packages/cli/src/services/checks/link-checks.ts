import { type Check, failed, ok, skipped } from '../check.js';
import { isOutcome, type Report } from '../report.js';
import { type Fate, PUT_OFF_MS } from '../service-link.js';
import type { Call, Subject } from '../subject.js';

/** Course of a cut connection. */
interface Cut {
  /** The outcome without an ack, if any. */
  readonly report: Report | undefined;
  /** Connection attempts during the downtime. */
  readonly knocks: number;
  /** Time until the reconnect, ms. */
  readonly backAfterMs: number | undefined;
}

const cuts = new WeakMap<Subject, Promise<Cut>>();
/** More attempts than this, plus one in 100 ms, are a busy loop. */
const SOME_KNOCKS = 10;

/** Checks of lost connections. */
export const LINK_CHECKS: readonly Check[] = [
  {
    name: 'pong',
    about: 'answers a ping on its socket',
    section: 'notifications',
    needs: ['connects'],
    async run(subject) {
      const { openLink: link } = subject.front;
      if (!link) return skipped('it keeps no socket');
      const before = link.pongs;
      link.ping();
      const { pongMs } = subject.limits;
      const pong = await subject.within(pongMs, () => (link.pongs > before ? true : undefined));
      return pong ? ok() : failed(`a pong within ${pongMs} ms`, 'none');
    },
  },
  {
    name: 'comes-back',
    about: 'reconnects after a lost connection',
    section: 'lost-connections',
    needs: ['message-ids'],
    jobsOnly: true,
    async run(subject) {
      if (!subject.front.openLink) return skipped('it keeps no socket');
      const { report, backAfterMs } = await cutOnce(subject);
      if (!report) return skipped('the job had no outcome that could be cut off');
      if (backAfterMs !== undefined) return ok(`after ${Math.round(backAfterMs)} ms`);
      return failed(`a connection within ${subject.limits.connectMs} ms`, 'none');
    },
  },
  {
    name: 'backs-off',
    about: 'backs off while the hub is down',
    section: 'lost-connections',
    needs: ['message-ids'],
    jobsOnly: true,
    async run(subject) {
      const { report, knocks } = await cutOnce(subject);
      if (!report) return skipped('the job had no outcome that could be cut off');
      const { downMs } = subject.limits;
      if (knocks <= SOME_KNOCKS + downMs / 100) return ok(`${knocks} tries in ${downMs} ms`);
      return failed('some time between two tries', `${knocks} tries in ${downMs} ms`);
    },
  },
  {
    name: 'sends-again',
    about: 'resends notifications without an ack, with the same message_id',
    section: 'lost-connections',
    needs: ['comes-back'],
    jobsOnly: true,
    async run(subject) {
      const { report } = await cutOnce(subject);
      if (!report) return skipped('the job had no outcome that could be cut off');
      return sentAgain(subject, report, subject.limits.connectMs);
    },
  },
  {
    name: 'retry-later',
    about: 'resends deferred notifications after the delay',
    section: 'notifications',
    needs: ['message-ids'],
    jobsOnly: true,
    async run(subject) {
      const { report } = await intercepted(subject, 'put_off');
      if (!report) return skipped('the job had no outcome that could be put off');
      const found = await sentAgain(subject, report, subject.limits.againMs);
      const again = subject.front.reports.find(
        (each) => each !== report && each.messageId === report.messageId,
      );
      // Clocks and timers are not exact.
      if (again && again.at - report.at < PUT_OFF_MS * 0.8) {
        const afterMs = Math.round(again.at - report.at);
        return failed(`${PUT_OFF_MS} ms of patience, as retry_after_ms says`, `it again after ${afterMs} ms`);
      }
      return found;
    },
  },
];

async function sentAgain(subject: Subject, report: Report, withinMs: number) {
  const { messageId } = report;
  if (messageId === undefined) return skipped('without a message_id nothing is resent');
  const again = await subject.within(withinMs, () =>
    subject.front.reports.find(
      (each) => each !== report && each.messageId === messageId && each.outcome !== undefined,
    ),
  );
  if (!again) return failed(`the outcome again, with message_id "${messageId}"`, sinceThen(subject, report));
  return again.outcome === 'applied' || again.outcome === 'duplicate'
    ? ok()
    : failed('the outcome as it was', `"${again.outcome}" for ${again.text}`);
}

function sinceThen({ front }: Subject, { at }: Report): string {
  const outcome = front.reports.find((each) => each.at > at && isOutcome(each));
  return outcome ? `it with message_id ${JSON.stringify(outcome.messageId ?? null)}` : 'nothing';
}

function cutOnce(subject: Subject): Promise<Cut> {
  const known = cuts.get(subject);
  if (known) return known;
  const cut = cutOff(subject);
  cuts.set(subject, cut);
  return cut;
}

async function cutOff(subject: Subject): Promise<Cut> {
  const { front, limits } = subject;
  const { downMs, connectMs } = limits;
  front.downMs = downMs;
  const { report } = await intercepted(subject, 'cut');
  if (!report) return { report, knocks: 0, backAfterMs: undefined };
  const since = performance.now();
  await subject.pause(downMs);
  const knocks = front.dials.filter((at) => at >= report.at).length;
  // Without a socket there is no reconnect.
  if (report.by === 'http') return { report, knocks, backAfterMs: undefined };
  const backAfterMs = await subject.within(connectMs, () =>
    front.openLink ? performance.now() - since : undefined,
  );
  return { report, knocks, backAfterMs };
}

/** A call whose outcome is intercepted once. */
async function intercepted(
  subject: Subject,
  fate: Fate,
): Promise<{ readonly call: Call; readonly report: Report | undefined }> {
  const { front } = subject;
  const earlier = new Set(subject.calls);
  let report: Report | undefined;
  front.intercept = (each) => {
    const call = subject.callOf(each);
    const isMeant = isOutcome(each) && call !== undefined && !earlier.has(call);
    if (report || !isMeant || (fate === 'put_off' && each.messageId === undefined)) return 'passed_on';
    report = each;
    return fate;
  };
  try {
    const call = await subject.call();
    await subject.reported(call, () => report ?? subject.outcomesOf(call)[0]);
    return { call, report };
  } finally {
    front.intercept = undefined;
  }
}
