import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const LOOK_EVERY_MS = 1_000;
const TRY_AGAIN_MS = 100;
const DIAL_MS = 5_000;
/** Nothing has the port. Any other error may come from a busy service. */
const NOTHING_LISTENS = 'ECONNREFUSED';

/**
 * Polls whether something listens at the URL. A restart within `graceMs` is tolerated; a service that is gone
 * stays so, and aborts `signal`.
 */
export class ServiceWatch {
  readonly #gone = new AbortController();
  readonly #stopped = new AbortController();

  constructor(
    private readonly options: {
      readonly url: string;
      readonly graceMs: number;
      /** Ends the watch. */
      readonly signal: AbortSignal;
    },
  ) {}

  /** Aborts once the service is gone. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get isGone(): boolean {
    return this.#gone.signal.aborted;
  }

  /** Polls each second until the service is gone, or the watch ends. */
  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** Whether the service is gone: every connection was refused for the duration of a restart. */
  async look(): Promise<boolean> {
    const { url, graceMs } = this.options;
    const until = performance.now() + graceMs;
    while (!this.isGone) {
      if ((await dial(url)) !== NOTHING_LISTENS) return false;
      if (performance.now() > until) {
        this.#gone.abort(new Error(`nothing listens at ${url} any more`));
      } else if (!(await this.#pause(TRY_AGAIN_MS))) return false;
    }
    return true;
  }

  async #run(): Promise<void> {
    while ((await this.#pause(LOOK_EVERY_MS)) && !(await this.look()));
  }

  /** Whether the watch continues after the pause. */
  #pause(ms: number): Promise<boolean> {
    const signal = AbortSignal.any([this.options.signal, this.#stopped.signal]);
    return pause(ms, undefined, { signal }).then(
      () => true,
      () => false,
    );
  }
}

/** Reason why a URL cannot be reached; `undefined` when it can. */
export function dial(url: string): Promise<string | undefined> {
  const { hostname, port, protocol } = new URL(url);
  const socket = connect({
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
    timeout: DIAL_MS,
  });
  return new Promise((resolve) => {
    const end = (code: string | undefined) => {
      socket.destroy();
      resolve(code);
    };
    socket.once('connect', () => end(undefined));
    socket.once('timeout', () => end('ETIMEDOUT'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}
