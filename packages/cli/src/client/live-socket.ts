import { setTimeout as pause } from 'node:timers/promises';
import { type Gap, type JsonValue, OrchestratorError, type TaskEvent } from '@agent-orchestrator/core';
import { isErrorCode, type Snapshot, type Topic } from '@agent-orchestrator/core/protocol';
import { Fifo, WakeSignal } from '@agent-orchestrator/core/server';
import { JsonRefusedError, parseJson } from '@agent-orchestrator/core/protocol';
import { type RawData, WebSocket } from 'ws';
import { API_KEY_HINT, routeUrl, unreachable } from './api-client.js';
import type { Connection } from './connection.js';

export type LiveFrame =
  | {
      readonly event: 'subscribed';
      readonly id: string;
      readonly cursor: string;
      readonly snapshot: Snapshot;
    }
  | (Gap & { readonly id: string })
  | TaskEvent;

const HELLO_MS = 10_000;
/** Reconnect delays, ms; gives up after the last: about fifteen seconds. */
const RECONNECT_MS = [200, 500, 1_000, 2_000, 4_000, 8_000];
/** Close codes without a reconnect. */
const SHUTTING_DOWN = 1001;
const FINAL_CLOSES = new Set([4401, 4403]);

/** Frames received and not taken yet. */
class Inbox {
  readonly #frames = new Fifo<LiveFrame>();
  readonly #changed = new WakeSignal();
  #failure: Error | undefined;

  put(frame: LiveFrame): void {
    this.#frames.push(frame);
    this.#changed.notify();
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#changed.notify();
  }

  /** The next frame; `undefined` once `signal` aborts. @throws the reason of a lost connection. */
  async take(signal: AbortSignal): Promise<LiveFrame | undefined> {
    while (!signal.aborted) {
      const frame = this.#frames.shift();
      if (frame) return frame;
      if (this.#failure) throw this.#failure;
      await this.#changed.wait({ signal });
    }
    return undefined;
  }
}

export interface FollowOptions {
  readonly connection: Connection;
  readonly topic: Topic;
  readonly after?: string;
  readonly signal: AbortSignal;
  /** Called when the connection was lost and is retried. */
  readonly onReconnect?: () => void;
}

/**
 * A topic's snapshot, then each event once, in order: over `/ws/client`, resumed at the last cursor after a
 * lost connection. Ends when `signal` aborts.
 */
export async function* followTopic(options: FollowOptions): AsyncGenerator<LiveFrame> {
  const { signal } = options;
  let { after } = options;
  let [greeted, lost] = [false, 0];
  while (!signal.aborted) {
    try {
      for await (const frame of followOnce({ ...options, ...(after !== undefined && { after }) })) {
        lost = 0;
        // The snapshot may be newer than the events that follow it.
        if (frame.event === 'gap') after = frame.to;
        else if (frame.event !== 'subscribed' || after === undefined) after = frame.cursor;
        if (frame.event !== 'subscribed' || !greeted) yield frame;
        greeted = true;
      }
      return;
    } catch (error) {
      // Before the first frame, a failed connection is reported at once.
      const mayComeBack =
        after !== undefined && error instanceof OrchestratorError && error.code === 'not_running';
      const waitMs = RECONNECT_MS[lost];
      if (!mayComeBack || waitMs === undefined) throw error;
      lost += 1;
      if (lost === 1) options.onReconnect?.();
      await pause(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function* followOnce(options: FollowOptions): AsyncGenerator<LiveFrame> {
  const { topic, after, signal } = options;
  const { url, apiKey } = options.connection;
  const target = routeUrl(url, '/ws/client');
  target.protocol = target.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(target, {
    headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
    handshakeTimeout: HELLO_MS,
    perMessageDeflate: false,
  });
  const inbox = new Inbox();
  socket.on('open', () => socket.send(JSON.stringify({ action: 'subscribe', id: 'cli', topic, after })));
  socket.on('message', (data) => receive(inbox, data));
  socket.on('unexpected-response', (_, response) => {
    response.resume();
    inbox.fail(refused(response.statusCode ?? 0, url));
    socket.terminate();
  });
  socket.on('error', (error) => inbox.fail(unreachable(url, error)));
  socket.on('close', (code, reason) => inbox.fail(closed(code, reason.toString(), url)));
  try {
    for (;;) {
      const frame = await inbox.take(signal);
      if (!frame) return;
      yield frame;
    }
  } finally {
    socket.removeAllListeners('close');
    socket.close(1000);
    // A server without an answer to the close must not keep this process alive.
    setTimeout(() => socket.terminate(), 500).unref();
  }
}

function receive(inbox: Inbox, data: RawData): void {
  let frame: JsonValue;
  try {
    frame = parseJson((data as Buffer).toString('utf8'));
  } catch (error) {
    const reason = error instanceof JsonRefusedError ? error.reason : String(error);
    const message = `the live connection says something else than JSON: ${reason}`;
    inbox.fail(new OrchestratorError('invalid_response', message));
    return;
  }
  const { event, code, message } = frame as { event?: string; code?: string; message?: string };
  if (event === 'heartbeat') return;
  if (event === 'error') {
    inbox.fail(new OrchestratorError(isErrorCode(code) ? code : 'invalid_message', message ?? 'refused'));
    return;
  }
  inbox.put(frame as unknown as LiveFrame);
}

function refused(status: number, url: string): OrchestratorError {
  if (status === 401)
    return new OrchestratorError('unauthorized', `${url} does not know this API key: ${API_KEY_HINT}`);
  if (status === 403) return new OrchestratorError('forbidden', `${url} does not let this API key follow`);
  if (status === 503)
    return new OrchestratorError(
      'not_running',
      `the orchestrator at ${url} opens no live connections now (503)`,
    );
  return new OrchestratorError('not_running', `${url} answered ${status} instead of a live connection`);
}

function closed(code: number, reason: string, url: string): OrchestratorError {
  if (code === SHUTTING_DOWN)
    return new OrchestratorError('not_running', `the orchestrator at ${url} is shutting down`);
  if (!FINAL_CLOSES.has(code))
    return new OrchestratorError('not_running', `the live connection to ${url} was closed (${code})`);
  const hint = code === 4401 ? `: ${API_KEY_HINT}` : '';
  return new OrchestratorError(code === 4401 ? 'unauthorized' : 'forbidden', `${reason || 'refused'}${hint}`);
}
