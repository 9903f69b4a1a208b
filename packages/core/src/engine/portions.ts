/**
 * Takes a step again and again until it says that nothing is left, and admits the event loop go on in between.
 * @param signal once it fires, no further step is begun.
 */
export async function inPortions(step: () => boolean, signal?: AbortSignal): Promise<void> {
  const mayGoOn = () => signal?.aborted !== true;
  while (step() && mayGoOn()) await new Promise((resolve) => setImmediate(resolve));
}
