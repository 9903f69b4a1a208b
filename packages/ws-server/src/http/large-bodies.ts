import { getHeapStatistics } from 'node:v8';
import { OrchestratorError } from '@agent-orchestrator/core';
import { MAX_RESULT_BYTES } from '@agent-orchestrator/core/protocol';
import { Shares } from '../sockets/shares.js';

/** Smaller bodies are not counted: the connection limit bounds them. */
export const SMALL_BODY_BYTES = 64 * 1024;
/** Share of the heap for large bodies, and their maximum number. */
const SHARE_OF_HEAP = 1 / 8;
const MAX_AT_ONCE = 256;
const RETRY_AFTER_MS = 1_000;

/**
 * Limit of large bodies read concurrently by this process, half of it for one tenant or service. Others are
 * refused with a retry: they would fill the heap.
 */
export class LargeBodies {
  readonly #all: Shares;
  readonly #byShare: Shares;

  constructor(atOnce = Math.floor((getHeapStatistics().heap_size_limit * SHARE_OF_HEAP) / MAX_RESULT_BYTES)) {
    const most = Math.max(2, Math.min(MAX_AT_ONCE, atOnce));
    this.#all = new Shares(most);
    this.#byShare = new Shares(Math.ceil(most / 2));
  }

  /**
   * @returns a function that releases the slot.
   * @throws {OrchestratorError} `rate_limited` with `retryAfterMs`.
   */
  take(share: string): () => void {
    const own = this.#byShare.take(share);
    const ofAll = own && this.#all.take('');
    if (!own || !ofAll) {
      own?.();
      const message = 'too many large bodies at once: expected the request a little later';
      throw new OrchestratorError('rate_limited', message, { retryAfterMs: RETRY_AFTER_MS });
    }
    return () => {
      own();
      ofAll();
    };
  }
}
