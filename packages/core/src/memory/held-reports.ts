import type { Report, ReportAnswer } from '../storage/call-journal.js';

/** A notification that came before the answer which names its job, and what became of it. */
export interface HeldReport {
  readonly heldId: string;
  readonly report: Report;
  answer: ReportAnswer;
}

/** The early notifications of one tenant: waiting until their fate is decided, then readable until they are forgotten. */
export class HeldReports {
  readonly #all = new Map<string, HeldReport>();
  /** By service, then by message: one that is sent again is held once. Oldest first. */
  readonly #waiting = new Map<string, Map<string, HeldReport>>();

  get(heldId: string): HeldReport | undefined {
    return this.#all.get(heldId);
  }

  /** The same message of the same job, if it waits already. */
  find(report: Report): HeldReport | undefined {
    return this.#waiting.get(report.service)?.get(messageOf(report) ?? '');
  }

  /** How many of a service wait. */
  count(service: string): number {
    return this.#waiting.get(service)?.size ?? 0;
  }

  /** Those of a service that wait, as they are now. */
  waiting(service: string): readonly HeldReport[] {
    return [...(this.#waiting.get(service)?.values() ?? [])];
  }

  hold(heldId: string, report: Report): ReportAnswer {
    const held: HeldReport = { heldId, report, answer: { answer: 'held', heldId } };
    this.#all.set(heldId, held);
    const waiting = this.#waiting.get(report.service) ?? new Map<string, HeldReport>();
    this.#waiting.set(report.service, waiting.set(messageOf(report) ?? heldId, held));
    return held.answer;
  }

  decide(held: HeldReport, answer: ReportAnswer): void {
    held.answer = answer;
    const { service } = held.report;
    const waiting = this.#waiting.get(service);
    waiting?.delete(messageOf(held.report) ?? held.heldId);
    if (waiting?.size === 0) this.#waiting.delete(service);
  }

  forget(heldId: string): boolean {
    return this.#all.delete(heldId);
  }
}

function messageOf({ jobId, messageId }: Report): string | undefined {
  return messageId === undefined ? undefined : `${jobId}\n${messageId}`;
}
