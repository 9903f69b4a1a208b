import type { MemoryStorage } from '@agent-orchestrator/core';
import type { Report, ReportAnswer } from '@agent-orchestrator/core/storage';

/** A notification with an outcome that reached the storage, and the storage's answer. */
export interface ReachedOutcome {
  readonly ok: boolean;
  /** The result, or the error's message. */
  readonly value: unknown;
  answer: ReportAnswer['answer'];
}

/** Records the notifications that reach the storage, in their order. */
export class ReportTap {
  /** By job. */
  readonly outcomes = new Map<string, ReachedOutcome[]>();
  /** Number of notifications held until the answer that names their job. */
  held = 0;
  readonly #heldOutcomes = new Map<string, ReachedOutcome>();
  readonly #reached = new Set<string>();
  readonly #waiting = new Map<string, () => void>();

  constructor({ journal }: MemoryStorage) {
    const report = journal.report.bind(journal);
    journal.report = async (reported) => this.#note(reported, await report(reported));
    const heldReport = journal.heldReport.bind(journal);
    journal.heldReport = async (params) => {
      const answer = await heldReport(params);
      const outcome = this.#heldOutcomes.get(params.heldId);
      if (outcome) outcome.answer = answer.answer;
      return answer;
    };
  }

  /** Resolves once a notification of the job has reached the storage. */
  async reached(job: string): Promise<void> {
    if (this.#reached.has(job)) return;
    await new Promise<void>((resolve) => this.#waiting.set(job, resolve));
  }

  #note({ jobId, body }: Report, answer: ReportAnswer): ReportAnswer {
    if (answer.answer === 'held') this.held += 1;
    if (body.kind === 'outcome' && answer.answer !== 'retry_later') {
      const { outcome } = body;
      const value = outcome.ok ? outcome.value : outcome.error.message;
      const reached: ReachedOutcome = { ok: outcome.ok, value, answer: answer.answer };
      const known = answer.answer === 'held' ? this.#heldOutcomes.get(answer.heldId) : undefined;
      if (!known) this.outcomes.set(jobId, [...(this.outcomes.get(jobId) ?? []), reached]);
      if (!known && answer.answer === 'held') this.#heldOutcomes.set(answer.heldId, reached);
    }
    this.#reached.add(jobId);
    this.#waiting.get(jobId)?.();
    return answer;
  }
}
