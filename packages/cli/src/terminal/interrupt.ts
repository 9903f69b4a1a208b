import { EXIT } from '../errors/errors.js';

/** Terminals and `npm run` both deliver a Ctrl-C: a second one this soon is the same key press, ms. */
const SAME_PRESS_MS = 300;
/** Forced exit after an interrupt, ms. */
const AT_THE_LATEST_MS = 15_000;

export interface Interruption {
  /** Aborts at the first SIGINT or SIGTERM, or at `fire`. */
  readonly signal: AbortSignal;
  /** Interrupts the command. */
  fire(reason: string): void;
  stop(): void;
}

/** The first SIGINT or SIGTERM aborts the command, the second one exits at once. */
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

/** Resolves when `signal` aborts. */
export function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
