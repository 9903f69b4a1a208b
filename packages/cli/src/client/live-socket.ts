import {
  type Gap,
  JsonRefusedError,
  type JsonValue,
  OrchestratorError,
  parseJson,
  type Snapshot,
  type TaskEvent,
  type Topic,
} from '@agent-orchestrator/core';
import { type RawData, WebSocket } from 'ws';
import { unreachable } from './api-client.js';

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
const RECONNECT_MS = [200, 500, 1_000, 2_000, 5_000];
/** Codes after which coming back can't help. */
const FINAL_CLOSES = new Set([4401, 4403]);

/** Frames that came and were not taken yet. */
class Inbox {
  readonly #frames: LiveFrame[] = [];
  #wake: () => void = () => {};
  #failure: Error | undefined;

  put(frame: LiveFrame): void {
    this.#frames.push(frame);
    this.#wake();
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  /** The next frame; `undefined` once `signal` fires. @throws what ended the connection. */
  async take(signal: AbortSignal): Promise<LiveFrame | undefined> {
    const onAbort = () => this.#wake();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        const frame = this.#frames.shift();
        if (frame) return frame;
        if (this.#failure) throw this.#failure;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      return undefined;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}

export interface FollowOptions {
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly topic: Topic;
  readonly after?: string;
  readonly signal: AbortSignal;
  /** Told when the connection was lost and is sought again. */
  readonly onReconnect?: (waitMs: number) => void;
}

/**
 * A topic's snapshot, then each event once, in order: over `/ws/client`, again from the last cursor when the
 * connection is lost. Ends when `signal` fires.
 */
export async function* followTopic(options: FollowOptions): AsyncGenerator<LiveFrame> {
  let after = options.after;
  for (let lost = 0; !options.signal.aborted; lost += 1) {
    const seen = { any: false };
    try {
      for await (const frame of followOnce({ ...options, ...(after !== undefined && { after }) })) {
        // The state that comes first may be newer than the events that follow it.
        if (frame.event === 'gap') after = frame.to;
        else if (frame.event !== 'subscribed' || after === undefined) after = frame.cursor;
        if (seen.any || lost === 0 || frame.event !== 'subscribed') yield frame;
        seen.any = true;
        lost = 0;
      }
      return;
    } catch (error) {
      // Before anything was heard, the caller is told at once that there is nobody.
      const mayComeBack =
        after !== undefined && error instanceof OrchestratorError && error.code === 'not_running';
      if (!mayComeBack || lost >= 20) throw error;
      const waitMs = RECONNECT_MS[Math.min(lost, RECONNECT_MS.length - 1)] ?? 5_000;
      options.onReconnect?.(waitMs);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        options.signal.addEventListener('abort', () => resolve(), { once: true });
        timer.unref();
      });
    }
  }
}

async function* followOnce(options: FollowOptions): AsyncGenerator<LiveFrame> {
  const { url, apiKey, topic, after, signal } = options;
  const target = new URL('/ws/client', url);
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
    // A server that does not answer the close must not keep this process.
    setTimeout(() => socket.terminate(), 500).unref();
  }
}

function receive(inbox: Inbox, data: RawData): void {
  let frame: JsonValue;
  try {
    frame = parseJson((data as Buffer).toString('utf8'));
  } catch (error) {
    const reason = error instanceof JsonRefusedError ? error.reason : String(error);
    inbox.fail(
      new OrchestratorError(
        'invalid_response',
        `the live connection says something else than JSON: ${reason}`,
      ),
    );
    return;
  }
  const { event, code, message } = frame as { event?: string; code?: string; message?: string };
  if (event === 'heartbeat') return;
  if (event === 'error') {
    inbox.fail(
      new OrchestratorError(code === 'not_found' ? 'not_found' : 'invalid_message', message ?? 'refused'),
    );
    return;
  }
  inbox.put(frame as unknown as LiveFrame);
}

function refused(status: number, url: string): OrchestratorError {
  if (status === 401) return new OrchestratorError('unauthorized', `${url} does not know this API key`);
  if (status === 403) return new OrchestratorError('forbidden', `${url} does not let this API key follow`);
  return new OrchestratorError('not_running', `${url} answered ${status} instead of a live connection`);
}

function closed(code: number, reason: string, url: string): OrchestratorError {
  if (!FINAL_CLOSES.has(code))
    return new OrchestratorError('not_running', `the live connection to ${url} was closed (${code})`);
  const hint = code === 4401 ? '. Set ORCHESTRATOR_API_KEY to one of its API keys' : '';
  return new OrchestratorError(code === 4401 ? 'unauthorized' : 'forbidden', `${reason || 'refused'}${hint}`);
}
