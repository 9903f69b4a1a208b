import { getHeapStatistics } from 'node:v8';
import { MAX_RESULT_BYTES, OrchestratorError } from '@agent-orchestrator/core';
import { Shares } from '../sockets/shares.js';

/** Bodies up to this many bytes are not counted: how many there are is bounded by the connections. */
export const SMALL_BODY_BYTES = 64 * 1024;
/** How much of its heap a process gives to large bodies, and how many it takes at most. */
const SHARE_OF_HEAP = 1 / 8;
const MAX_AT_ONCE = 256;
const RETRY_AFTER_MS = 1_000;

/**
 * How many large bodies this process may be reading at once: in all, and half of that for one tenant or service. What is beyond is refused, and may come again: it would fill the heap.
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
   * @returns how to give it back.
   * @throws {OrchestratorError} `rate_limited`, with a time to come back.
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
