import { WakeSignal } from '@agent-orchestrator/core/server';
import type { NeutralAnswer, NeutralHandler } from './http/neutral-request.js';

/** Counts requests until the last piece of their response, so that a stop can wait for them. */
export class RunningRequests {
  #count = 0;
  readonly #ended = new WakeSignal();

  /** Wraps a handler with the counter. */
  counted(handler: NeutralHandler): NeutralHandler {
    return async (request) => {
      this.#count += 1;
      let answer: NeutralAnswer;
      try {
        answer = await handler(request);
      } catch (error) {
        this.#done();
        throw error;
      }
      if (answer.body === undefined || typeof answer.body === 'string') {
        this.#done();
        return answer;
      }
      return { ...answer, body: this.#countedPieces(answer.body) };
    };
  }

  /** Resolves when no request runs. */
  async idle(): Promise<void> {
    while (this.#count > 0) await this.#ended.next;
  }

  async *#countedPieces(pieces: AsyncIterable<string | Uint8Array>): AsyncGenerator<string | Uint8Array> {
    try {
      yield* pieces;
    } finally {
      this.#done();
    }
  }

  #done(): void {
    this.#count -= 1;
    if (this.#count === 0) this.#ended.notify();
  }
}
