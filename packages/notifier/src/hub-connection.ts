import type { IncomingMessage } from 'node:http';
import {
  type Clock,
  MAX_RESULT_BYTES,
  OrchestratorError,
  readRetryAfter,
} from '@agent-orchestrator/core/notifier';
import { WebSocket } from 'ws';
import { type HubWord, readHubWord, retryAfterOf } from './hub-words.js';
import type { ConnectionEnd } from './reconnect-plan.js';

export interface HubConnectionOptions {
  readonly url: string;
  readonly token: string;
  readonly serviceName: string;
  readonly clock: Clock;
  readonly helloMs: number;
  readonly pingMs: number;
  readonly pongMs: number;
}

/** Events of a connection. */
export interface HubConnectionOwner {
  /** The hub has accepted the hello, and takes frames of up to `maxPayload` bytes. */
  admitted(connectionId: string, maxPayload: number): void;
  heard(word: HubWord & { readonly kind: 'ack' | 'frame' }): void;
  /** The link has carried a frame there and back. */
  alive(): void;
  /** Called once, last. */
  ended(end: ConnectionEnd): void;
}

/** Maximum frame of the hub, bytes: a gateway outcome is a result with an envelope. */
const MAX_PAYLOAD = MAX_RESULT_BYTES + 64 * 1024;
/** Time for the hub to answer a close frame, ms. */
const CLOSING_MS = 2_000;
const NO_CLOSE_FRAME = 1006;
const NORMAL = 1000;

/**
 * One connection to the hub. It dials, says hello and is admitted within `helloMs`; then it pings, and ends
 * when a pong is missing. It ends once, for any reason.
 */
export class HubConnection {
  readonly #options: HubConnectionOptions;
  readonly #owner: HubConnectionOwner;
  readonly #socket: WebSocket;
  readonly #ended: Promise<void>;
  /** Deadline of the hello, then the next ping or the deadline of its pong. */
  #stopTimer: () => void;
  #admitted = false;
  #waitsForPong = false;
  /** Reason of the end, where it is known before the socket closes. */
  #why: Partial<ConnectionEnd> = {};

  constructor(options: HubConnectionOptions, owner: HubConnectionOwner) {
    this.#options = options;
    this.#owner = owner;
    this.#socket = new WebSocket(options.url, {
      perMessageDeflate: false,
      followRedirects: false,
      maxPayload: MAX_PAYLOAD,
    });
    const { helloMs, clock } = options;
    this.#stopTimer = clock.after(helloMs, () =>
      this.#cut({ reason: `no answer to the hello in ${helloMs} ms` }),
    );
    this.#ended = new Promise((resolve) => {
      this.#socket.once('close', (code, reason) => {
        this.#end(code, reason.toString());
        resolve();
      });
    });
    this.#listen();
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  /** Sends a close frame; resolves when the connection has ended. */
  async close(): Promise<void> {
    this.#wakeAfter(CLOSING_MS, () => this.#socket.terminate());
    this.#socket.close(NORMAL);
    await this.#ended;
  }

  #listen(): void {
    const socket = this.#socket;
    const { token, serviceName } = this.#options;
    socket.on('open', () => {
      this.send(JSON.stringify({ service_token: token, service_name: serviceName }));
    });
    socket.on('message', (data: Buffer, isBinary) => {
      if (!isBinary) this.#read(data.toString());
    });
    socket.on('pong', () => this.#pong());
    socket.on('unexpected-response', (_request, response) => this.#turnedAway(response));
    // A close follows; the error has the reason.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#why = { reason: error.message || (error.code ?? 'the connection failed'), ...this.#why };
    });
  }

  #read(text: string): void {
    const word = readHubWord(text);
    if (!word) return;
    if (word.kind === 'ack' || word.kind === 'frame') {
      if (!this.#admitted) return;
      if (word.kind === 'ack') this.#owner.alive();
      this.#owner.heard(word);
    } else if (word.kind === 'unauthorized') {
      this.#cut({ refusal: word.error, reason: word.error.message });
    } else if (!this.#admitted) {
      this.#admitted = true;
      this.#pingLater();
      this.#owner.admitted(word.connectionId, word.maxPayload);
    }
  }

  /** The upgrade was answered with another status. */
  #turnedAway(response: IncomingMessage): void {
    const { statusCode = 0, headers } = response;
    const reason = `expected an upgrade to WebSocket, got HTTP ${statusCode}`;
    const refused = { 401: 'unauthorized', 403: 'forbidden' } as const;
    const code = refused[statusCode as 401 | 403] as (typeof refused)[401 | 403] | undefined;
    this.#cut({
      reason,
      refusal: code && new OrchestratorError(code, reason),
      retryAfterMs: readRetryAfter(headers['retry-after']),
    });
  }

  #pingLater(): void {
    this.#wakeAfter(this.#options.pingMs, () => this.#ping());
  }

  #ping(): void {
    const { pongMs } = this.#options;
    this.#waitsForPong = true;
    this.#socket.ping();
    // After a pause of this process the pong may be pending: it is read before the verdict.
    const verdict = () => {
      if (this.#waitsForPong) this.#cut({ reason: `no pong in ${pongMs} ms` });
    };
    this.#wakeAfter(pongMs, () => setImmediate(verdict));
  }

  /** Replaces the timer. */
  #wakeAfter(ms: number, callback: () => void): void {
    this.#stopTimer();
    this.#stopTimer = this.#options.clock.after(ms, callback);
  }

  #pong(): void {
    if (!this.#waitsForPong) return;
    this.#waitsForPong = false;
    this.#pingLater();
    this.#owner.alive();
  }

  /** Ends the connection without waiting for the peer. */
  #cut(why: Partial<ConnectionEnd>): void {
    this.#why = why;
    this.#socket.terminate();
  }

  #end(code: number, reason: string): void {
    this.#stopTimer();
    this.#waitsForPong = false;
    const said = reason || (code === NO_CLOSE_FRAME ? 'the connection broke' : `closed with ${code}`);
    this.#owner.ended({ code, reason: said, retryAfterMs: retryAfterOf(reason), ...this.#why });
  }
}
