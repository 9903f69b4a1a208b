import { EXIT } from './exit-code.js';

/** Terminals and `npm run` both deliver one Ctrl-C: what comes this soon after the first is the same one. */
const SAME_PRESS_MS = 300;
/** Whatever hangs then does not keep the process. */
const AT_THE_LATEST_MS = 15_000;

export interface Interruption {
  /** Fires at the first SIGINT or SIGTERM, or at `fire`. */
  readonly signal: AbortSignal;
  /** Ends the command as if it had been interrupted. */
  fire(reason: string): void;
  stop(): void;
}

/** The first SIGINT or SIGTERM asks the command to end, the second one ends the process at once. */
export function interruption(): Interruption {
  const interrupted = new AbortController();
  let since = 0;
  const fire = (reason: string) => {
    if (interrupted.signal.aborted) return;
    since = performance.now();
    setTimeout(() => process.exit(EXIT.interrupted), AT_THE_LATEST_MS).unref();
    interrupted.abort(new Error(reason));
  };
  const onSignal = (name: NodeJS.Signals) => {
    if (!interrupted.signal.aborted) fire(name);
    else if (performance.now() - since > SAME_PRESS_MS) process.exit(EXIT.interrupted);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: interrupted.signal,
    fire,
    stop: () => {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}

/** Resolves when `signal` fires. */
export function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
