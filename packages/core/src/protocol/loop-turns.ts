const waiting: (() => void)[] = [];

/**
 * An exclusive turn of the event loop: work of more than one portion takes one before each. Two portions never
 * share a turn, however many are under way, so the loop is held for one portion at most.
 */
export function ownTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(next);
  });
}

function next(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(next);
}
