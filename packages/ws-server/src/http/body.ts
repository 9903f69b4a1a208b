import { type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import {
  cutText,
  JsonRefusedError,
  MAX_RESULT_BYTES,
  parseJsonInPortions,
} from '@agent-orchestrator/core/protocol';
import { type LargeBodies, SMALL_BODY_BYTES } from './large-bodies.js';
import type { NeutralRequest } from './neutral-request.js';
import { HttpRefusal } from './problem.js';

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/** Reader of a body. */
export interface Reading {
  /** Owner that is charged for event-loop time and large bodies. */
  readonly share: string;
  readonly largeBodies: LargeBodies;
}

/**
 * JSON body of a request; `undefined` without one. Its size is counted while it is read.
 *
 * @throws {OrchestratorError} `payload_too_large` above 1 MiB, `rate_limited` for a large one beside too many
 *   others, `invalid_request` for invalid JSON, with status 415 for a compressed body.
 */
export async function readJsonBody(
  request: NeutralRequest,
  { share, largeBodies }: Reading,
): Promise<JsonValue | undefined> {
  if (request.body.kind === 'none') return undefined;
  // A body parsed by the host's middleware is already decompressed.
  if (request.body.kind === 'stream') refuseCodings(request.headers);
  refuseLength(Number(request.headers['content-length'] ?? 0));
  let giveBack = () => {};
  try {
    const text =
      request.body.kind === 'parsed'
        ? asText(request.body.value)
        : await readText(request.body.chunks, () => (giveBack = largeBodies.take(share)));
    if (text === '') return undefined;
    const type = request.headers['content-type'];
    if (!type || !JSON_TYPE.test(type))
      throw unexpectedForm('content-type', 'application/json', type ?? 'nothing');
    return await parse(text, { signal: request.signal, share });
  } finally {
    giveBack();
  }
}

/** Compressed bodies are refused before they are read (RFC 9110, 15.5.16). */
function refuseCodings(headers: NeutralRequest['headers']): void {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && !onlyHas(encoding, 'identity')) {
    const { message, issues } = unexpectedForm('content-encoding', 'identity', encoding);
    throw new HttpRefusal(415, message, {
      ...(issues && { issues }),
      headers: { 'accept-encoding': 'identity' },
    });
  }
  const transfer = headers['transfer-encoding'];
  if (transfer === undefined || onlyHas(transfer, 'chunked')) return;
  const { message, issues } = unexpectedForm('transfer-encoding', 'chunked', transfer);
  throw new HttpRefusal(501, message, issues && { issues });
}

function onlyHas(list: string, wanted: string): boolean {
  return list.split(',').every((name) => ['', wanted].includes(name.trim().toLowerCase()));
}

async function parse(
  text: string,
  turns: { readonly signal: AbortSignal; readonly share: string },
): Promise<JsonValue> {
  try {
    return await parseJsonInPortions(text, turns);
  } catch (error) {
    if (!(error instanceof JsonRefusedError)) throw error;
    throw new OrchestratorError('invalid_request', `the body: ${error.reason}`, {
      issues: [{ path: '', expected: 'JSON', got: error.reason.replace(/^expected JSON, got /, '') }],
    });
  }
}

/** @param isLarge called once the body exceeds the small size. */
async function readText(chunks: AsyncIterable<Uint8Array>, isLarge: () => void): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of whole(chunks)) {
    size += chunk.byteLength;
    refuseLength(size);
    if (size > SMALL_BODY_BYTES && size - chunk.byteLength <= SMALL_BODY_BYTES) isLarge();
    parts.push(chunk);
  }
  return decoded(Buffer.concat(parts));
}

/** A caller that disconnects inside its body has sent less than announced: not an internal error. */
async function* whole(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (cause) {
    throw new OrchestratorError('invalid_request', 'the body: expected all of it, got a part', { cause });
  }
}

/** Bytes as text, without a byte order mark. */
function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unexpectedForm('', 'UTF-8', 'something else');
  }
}

/** A body parsed by the host's middleware, as text, so that the same limits apply. */
function asText(value: unknown): string {
  if (value instanceof Uint8Array) {
    refuseLength(value.byteLength);
    return decoded(value);
  }
  const text = typeof value === 'string' ? value.replace(/^\ufeff/, '') : JSON.stringify(value);
  refuseLength(Buffer.byteLength(text));
  return text;
}

function refuseLength(bytes: number): void {
  if (bytes <= MAX_RESULT_BYTES) return;
  throw new OrchestratorError(
    'payload_too_large',
    `the body: expected at most ${MAX_RESULT_BYTES} bytes, got more`,
  );
}

function unexpectedForm(path: string, expected: string, got: string): OrchestratorError {
  const what = path || 'the body';
  const shown = cutText(got, 100);
  return new OrchestratorError('invalid_request', `${what}: expected ${expected}, got ${shown}`, {
    issues: [{ path, expected, got: shown }],
  });
}
