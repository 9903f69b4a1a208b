interface Waiting {
  readonly begin: () => void;
  readonly signal: AbortSignal | undefined;
}

const waiting: Waiting[] = [];

/**
 * An exclusive turn of the event loop: work of more than one portion takes one before each. Two portions never
 * share a turn, however many are under way, so the loop is held for one portion at most.
 *
 * Rejects with the reason of `signal` once that fires.
 */
export function ownTurn(signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(signal?.reason as Error);
    if (signal?.aborted) {
      fail();
      return;
    }
    const begin = () => {
      signal?.removeEventListener('abort', fail);
      resolve();
    };
    signal?.addEventListener('abort', fail, { once: true });
    waiting.push({ begin, signal });
    if (waiting.length === 1) setImmediate(next);
  });
}

/** Work that is done portion by portion, each in a turn of its own. */
export async function inTurns<T>(portions: Generator<void, T, void>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    await ownTurn(signal);
    const portion = portions.next();
    if (portion.done === true) return portion.value;
  }
}

/** What was given up takes no turn. */
function next(): void {
  let first = waiting.shift();
  while (first?.signal?.aborted) first = waiting.shift();
  first?.begin();
  if (waiting.length > 0) setImmediate(next);
}
