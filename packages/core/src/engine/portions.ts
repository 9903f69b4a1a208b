/**
 * Repeats a step until it returns false, and yields to the event loop in between.
 * @param signal stops before the next step.
 */
export async function inPortions(step: () => boolean, signal?: AbortSignal): Promise<void> {
  const mayGoOn = () => signal?.aborted !== true;
  while (step() && mayGoOn()) await new Promise((resolve) => setImmediate(resolve));
}
