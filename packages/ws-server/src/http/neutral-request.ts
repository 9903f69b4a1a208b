/** A body as the adapter found it: still to be read, or read and parsed by the host's own middleware. */
export type NeutralBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Uint8Array> }
  | { readonly kind: 'parsed'; readonly value: unknown };

/** A request without the framework it came through. */
export interface NeutralRequest {
  readonly method: string;
  /** Path and query, without `prefix`. */
  readonly path: string;
  /** Where the host has mounted the handler, for links: `''` or `/orchestrator`. */
  readonly prefix: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: NeutralBody;
  /** Fires when the caller is gone. */
  readonly signal: AbortSignal;
}

/** An answer without a framework. A body that is iterable is sent piece by piece, as fast as it is read. */
export interface NeutralAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | AsyncIterable<string | Uint8Array>;
}

/** Answers every request; never throws. */
export type NeutralHandler = (request: NeutralRequest) => Promise<NeutralAnswer>;

/** What the adapters need: `OrchestratorServer` is one. */
export interface HandlesHttp {
  readonly handler: NeutralHandler;
  /** Whether a path (with its query) belongs to it, whatever the method. */
  serves(path: string): boolean;
}
