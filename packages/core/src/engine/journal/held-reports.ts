import type { Report, ReportAnswer } from '../../storage/call-journal.js';

/** A notification that arrived before the response which names its job, and its answer. */
export interface HeldReport {
  readonly heldId: string;
  readonly service: string;
  readonly jobId: string;
  readonly messageId: string | undefined;
  readonly bytes: number;
  /** The report as JSON; present until it is decided. */
  report: string | undefined;
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
  private readonly all = new Map<string, HeldReport>();
  private readonly byService = new Map<string, Waiting>();

  get isEmpty(): boolean {
    return this.all.size === 0;
  }

  get(heldId: string): HeldReport | undefined {
    return this.all.get(heldId);
  }

  /** The undecided report with the same job and message id. */
  find(report: Report): HeldReport | undefined {
    return this.byService.get(report.service)?.reports.get(messageOf(report) ?? '');
  }

  /** Size of the undecided reports of a service, and of one of its jobs. */
  sizeOf(service: string, jobId: string): { readonly all: HeldSize; readonly ofJob: HeldSize } {
    const waiting = this.byService.get(service);
    if (!waiting) return { all: NOTHING, ofJob: NOTHING };
    const all = { frames: waiting.reports.size, bytes: waiting.bytes };
    return { all, ofJob: waiting.jobs.get(jobId) ?? NOTHING };
  }

  /** Undecided reports of a service, as a copy of the list. */
  waiting(service: string): readonly HeldReport[] {
    return [...(this.byService.get(service)?.reports.values() ?? [])];
  }

  /** @param text the report as JSON. */
  hold(heldId: string, report: Report, text: string, bytes: number): ReportAnswer {
    const { service, jobId, messageId } = report;
    const answer = { answer: 'held', heldId } as const;
    const held: HeldReport = { heldId, service, jobId, messageId, bytes, report: text, answer };
    this.all.set(heldId, held);
    const waiting: Waiting = this.byService.get(service) ?? { reports: new Map(), jobs: new Map(), bytes: 0 };
    this.byService.set(service, waiting);
    waiting.reports.set(messageOf(report) ?? heldId, held);
    charge(waiting, report.jobId, { frames: 1, bytes });
    return held.answer;
  }

  decide(held: HeldReport, answer: ReportAnswer): void {
    const { service, jobId, report, bytes, heldId } = held;
    if (report === undefined) return;
    held.answer = answer;
    held.report = undefined;
    const waiting = this.byService.get(service);
    if (!waiting?.reports.delete(messageOf(held) ?? heldId)) return;
    charge(waiting, jobId, { frames: -1, bytes: -bytes });
    if (waiting.reports.size === 0) this.byService.delete(service);
  }

  forget(heldId: string): boolean {
    return this.all.delete(heldId);
  }
}

function charge(waiting: Waiting, jobId: string, { frames, bytes }: HeldSize): void {
  const before = waiting.jobs.get(jobId) ?? NOTHING;
  const after = { frames: before.frames + frames, bytes: before.bytes + bytes };
  if (after.frames > 0) waiting.jobs.set(jobId, after);
  else waiting.jobs.delete(jobId);
  waiting.bytes += bytes;
}

function messageOf({
  jobId,
  messageId,
}: Pick<Report, 'jobId'> & { readonly messageId?: string | undefined }): string | undefined {
  return messageId === undefined ? undefined : `${jobId}\n${messageId}`;
}
