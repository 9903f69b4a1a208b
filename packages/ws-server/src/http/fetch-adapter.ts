import { type MountOptions, readPrefix } from './mount-prefix.js';
import type { HandlesHttp, NeutralBody } from './neutral-request.js';

/**
 * Adapter for hosts with `Request` and `Response`: Hono, Next.js, workers. Supports event streams.
 *
 * @throws {OrchestratorError} `invalid_request` for an invalid prefix.
 */
export function toFetchHandler(
  server: HandlesHttp,
  options: MountOptions = {},
): (request: Request) => Promise<Response> {
  const prefix = readPrefix(options) ?? '';
  return async (request) => {
    const url = new URL(request.url);
    const gone = new AbortController();
    const inside = prefix !== '' && url.pathname.startsWith(`${prefix}/`);
    const answer = await server.handler({
      method: request.method,
      path: (inside ? url.pathname.slice(prefix.length) : url.pathname) + url.search,
      prefix,
      headers: Object.fromEntries(request.headers),
      body: bodyOf(request),
      signal: AbortSignal.any([request.signal, gone.signal]),
    });
    const body =
      answer.body === undefined || typeof answer.body === 'string'
        ? (answer.body ?? null)
        : toStream(answer.body, gone);
    return new Response(body, { status: answer.status, headers: { ...answer.headers } });
  };
}

function bodyOf(request: Request): NeutralBody {
  if (!request.body) return { kind: 'none' };
  return { kind: 'stream', chunks: request.body as unknown as AsyncIterable<Uint8Array> };
}

/** Pull-based: backpressure of a slow reader affects only itself. */
function toStream(
  pieces: AsyncIterable<string | Uint8Array>,
  gone: AbortController,
): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await iterator.next();
      if (next.done === true) controller.close();
      else controller.enqueue(typeof next.value === 'string' ? encoder.encode(next.value) : next.value);
    },
    async cancel() {
      gone.abort();
      await iterator.return?.();
    },
  });
}
