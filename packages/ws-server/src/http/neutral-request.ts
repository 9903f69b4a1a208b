import type { Clock } from '@agent-orchestrator/core';

/** A body as the adapter found it: a stream, or a value parsed by the host's middleware. */
export type NeutralBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Uint8Array> }
  | { readonly kind: 'parsed'; readonly value: unknown };

/** A framework-independent request. */
export interface NeutralRequest {
  readonly method: string;
  /** Path and query, without `prefix`. */
  readonly path: string;
  /** Mount path in the host, for links: `''` or `/orchestrator`. */
  readonly prefix: string;
  /** Address of the peer, if the adapter knows it. */
  readonly remoteAddress?: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: NeutralBody;
  /** Aborts when the caller disconnects. */
  readonly signal: AbortSignal;
}

/** A framework-independent response. An iterable body is sent piece by piece at the reader's pace. */
export interface NeutralAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | AsyncIterable<string | Uint8Array>;
}

/** Answers every request; never throws. */
export type NeutralHandler = (request: NeutralRequest) => Promise<NeutralAnswer>;

/** What the adapters need of `OrchestratorServer`. */
export interface HandlesHttp {
  readonly handler: NeutralHandler;
  /** Clock of the time limits of slow readers. */
  readonly clock: Clock;
  /** Whether a path (with query) has a route, for any method. */
  serves(path: string): boolean;
}
