import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '@agent-orchestrator/core';
import { type MountOptions, readPrefix } from './mount-prefix.js';
import type { HandlesHttp, NeutralAnswer, NeutralBody } from './neutral-request.js';

/** Fields that Express and similar hosts add to a request. */
interface HostRequest extends IncomingMessage {
  readonly originalUrl?: string;
  readonly body?: unknown;
}

/** `next`: the host's handler for paths without a route here. */
export type NodeHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  next?: () => void,
) => Promise<void>;

/** A reader that takes nothing for this long is disconnected, ms. */
const STALLED_MS = 10_000;
/** Minimum rate for a response that is not a stream, so that a reader cannot hold it by trickling. */
const SLOWEST_BYTES_PER_SECOND = 16 * 1024;
/** Size of one write, in UTF-16 units or bytes. */
const PORTION = 64 * 1024;

/**
 * Handler for `node:http`, Express, Fastify and every host that passes Node's request and response. Its
 * promise never rejects, unless `next` throws: a response that cannot be written, such as one already
 * answered by the host, is destroyed.
 *
 * @throws {OrchestratorError} `invalid_request` for an invalid prefix.
 */
export function toNodeHandler(server: HandlesHttp, options: MountOptions = {}): NodeHandler {
  return answering(server, options, (_error, response) => response.destroy());
}

/** @param failed called with an error of writing the response, such as one that was already sent. */
export function answering(
  server: HandlesHttp,
  options: MountOptions,
  failed: (error: unknown, response: ServerResponse) => void,
): NodeHandler {
  const mounted = readPrefix(options);
  return async (request: HostRequest, response, next) => {
    const { path, prefix } = pathOf(server, request, mounted);
    if (next && !server.serves(path)) {
      next();
      return;
    }
    try {
      await answer(server, { request, path, prefix }, response);
    } catch (error) {
      failed(error, response);
    }
  };
}

async function answer(
  server: HandlesHttp,
  asked: { readonly request: HostRequest; readonly path: string; readonly prefix: string },
  response: ServerResponse,
): Promise<void> {
  const { request, path, prefix } = asked;
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const answered = await server.handler({
    method: request.method ?? 'GET',
    path,
    prefix,
    ...addressOf(request),
    headers: headersOf(request),
    body: bodyOf(request),
    signal: gone.signal,
  });
  const written = write(response, answered, { clock: server.clock, gone: gone.signal });
  // A request refused before its end is drained, so that the caller sees the response instead of a reset.
  if (!request.readableEnded) request.resume();
  await written;
}

/** Under `app.use('/v1', …)` a host strips the prefix from `url`: the path with a route wins. */
function pathOf(
  server: HandlesHttp,
  request: HostRequest,
  mounted: string | undefined,
): { path: string; prefix: string } {
  const url = request.url ?? '/';
  const original = request.originalUrl ?? url;
  if (mounted !== undefined) {
    const inside = original === mounted || original.startsWith(`${mounted}/`);
    return { path: inside ? original.slice(mounted.length) : url, prefix: mounted };
  }
  if (original === url || server.serves(original)) return { path: original, prefix: '' };
  const prefix = original.endsWith(url) ? original.slice(0, original.length - url.length) : '';
  return { path: url, prefix };
}

/** A request that a test of the host has made up may have no socket. */
function addressOf({ socket }: { readonly socket?: { readonly remoteAddress?: string | undefined } }) {
  return socket?.remoteAddress === undefined ? {} : { remoteAddress: socket.remoteAddress };
}

function headersOf(request: IncomingMessage): Record<string, string | undefined> {
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return headers;
}

function bodyOf(request: HostRequest): NeutralBody {
  const announced =
    Number(request.headers['content-length'] ?? 0) > 0 || request.headers['transfer-encoding'] !== undefined;
  if (!announced) return { kind: 'none' };
  // A body parser of the host has drained the stream: its value is the body.
  if (request.body !== undefined && request.readableEnded) return { kind: 'parsed', value: request.body };
  return { kind: 'stream', chunks: request.iterator({ destroyOnReturn: false }) };
}

interface Reader {
  readonly clock: Clock;
  /** Aborts when the reader disconnects. */
  readonly gone: AbortSignal;
}

async function write(response: ServerResponse, answer: NeutralAnswer, reader: Reader): Promise<void> {
  response.writeHead(answer.status, answer.headers);
  const { body } = answer;
  const isShort = body === undefined || (typeof body === 'string' && body.length <= PORTION);
  if (typeof body === 'object') response.flushHeaders();
  const stopDeadline =
    typeof body === 'string' &&
    reader.clock.after(longestMs(Buffer.byteLength(body)), () => response.destroy());
  try {
    if (isShort) response.end(body);
    else {
      for await (const piece of typeof body === 'string' ? portions(body) : body) {
        if (reader.gone.aborted) break;
        if (!response.write(piece)) await orStalled(response, 'drain', reader);
      }
      response.end();
    }
    if (!response.writableFinished) await orStalled(response, 'finish', reader);
  } catch {
    // The status is already sent: the stream can only be broken off.
    response.destroy();
  } finally {
    if (stopDeadline) stopDeadline();
  }
}

function longestMs(bytes: number): number {
  return STALLED_MS + (bytes / SLOWEST_BYTES_PER_SECOND) * 1_000;
}

/** A text in portions: each one taken shows that the reader is alive. */
function* portions(text: string): Generator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.byteLength; at += PORTION) yield bytes.subarray(at, at + PORTION);
}

/** Waits for the reader; disconnects one that takes nothing for too long. */
async function orStalled(
  response: ServerResponse,
  event: 'drain' | 'finish',
  { clock, gone }: Reader,
): Promise<void> {
  if (gone.aborted) return;
  await new Promise<void>((resolve) => {
    const stopTimer = clock.after(STALLED_MS, () => response.destroy());
    const done = () => {
      stopTimer();
      response.off(event, done);
      gone.removeEventListener('abort', done);
      resolve();
    };
    response.once(event, done);
    gone.addEventListener('abort', done, { once: true });
  });
}
