import type { Report, ReportAnswer } from '../../storage/call-journal.js';

/** A notification that arrived before the response which names its job, and its answer. */
export interface HeldReport {
  readonly heldId: string;
  readonly service: string;
  readonly bytes: number;
  /** Present until the report is decided. */
  report: Report | undefined;
  answer: ReportAnswer;
}

/** Undecided reports of one service by message id, oldest first: a repeated message is held once. */
interface Waiting {
  readonly reports: Map<string, HeldReport>;
  /** Size by job. */
  readonly jobs: Map<string, HeldSize>;
  bytes: number;
}

/** Number of undecided reports and their bytes as JSON. */
export interface HeldSize {
  readonly frames: number;
  readonly bytes: number;
}

const NOTHING: HeldSize = { frames: 0, bytes: 0 };

/** Early notifications of one tenant: held until decided, then readable until removed. */
export class HeldReports {
  readonly #all = new Map<string, HeldReport>();
  readonly #waiting = new Map<string, Waiting>();

  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  get(heldId: string): HeldReport | undefined {
    return this.#all.get(heldId);
  }

  /** The undecided report with the same job and message id. */
  find(report: Report): HeldReport | undefined {
    return this.#waiting.get(report.service)?.reports.get(messageOf(report) ?? '');
  }

  /** Size of the undecided reports of a service, and of one of its jobs. */
  sizeOf(service: string, jobId: string): { readonly all: HeldSize; readonly ofJob: HeldSize } {
    const waiting = this.#waiting.get(service);
    if (!waiting) return { all: NOTHING, ofJob: NOTHING };
    const all = { frames: waiting.reports.size, bytes: waiting.bytes };
    return { all, ofJob: waiting.jobs.get(jobId) ?? NOTHING };
  }

  /** Undecided reports of a service, as a copy of the list. */
  waiting(service: string): readonly HeldReport[] {
    return [...(this.#waiting.get(service)?.reports.values() ?? [])];
  }

  hold(heldId: string, report: Report, bytes: number): ReportAnswer {
    const { service } = report;
    const held: HeldReport = { heldId, service, bytes, report, answer: { answer: 'held', heldId } };
    this.#all.set(heldId, held);
    const waiting: Waiting = this.#waiting.get(service) ?? { reports: new Map(), jobs: new Map(), bytes: 0 };
    this.#waiting.set(service, waiting);
    waiting.reports.set(messageOf(report) ?? heldId, held);
    charge(waiting, report.jobId, { frames: 1, bytes });
    return held.answer;
  }

  decide(held: HeldReport, answer: ReportAnswer): void {
    const { service, report, bytes, heldId } = held;
    if (!report) return;
    held.answer = answer;
    held.report = undefined;
    const waiting = this.#waiting.get(service);
    if (!waiting?.reports.delete(messageOf(report) ?? heldId)) return;
    charge(waiting, report.jobId, { frames: -1, bytes: -bytes });
    if (waiting.reports.size === 0) this.#waiting.delete(service);
  }

  forget(heldId: string): boolean {
    return this.#all.delete(heldId);
  }
}

function charge(waiting: Waiting, jobId: string, { frames, bytes }: HeldSize): void {
  const before = waiting.jobs.get(jobId) ?? NOTHING;
  const after = { frames: before.frames + frames, bytes: before.bytes + bytes };
  if (after.frames > 0) waiting.jobs.set(jobId, after);
  else waiting.jobs.delete(jobId);
  waiting.bytes += bytes;
}

function messageOf({ jobId, messageId }: Report): string | undefined {
  return messageId === undefined ? undefined : `${jobId}\n${messageId}`;
}
