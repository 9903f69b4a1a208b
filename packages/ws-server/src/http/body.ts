import {
  JsonRefusedError,
  type JsonValue,
  MAX_RESULT_BYTES,
  OrchestratorError,
  parseJson,
} from '@agent-orchestrator/core';
import type { NeutralRequest } from './neutral-request.js';

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/**
 * The JSON body of a request; `undefined` when it has none. Its size is counted while it is read.
 *
 * @throws {OrchestratorError} `payload_too_large` past 1 MiB, `invalid_request` for what is not JSON.
 */
export async function readJsonBody(request: NeutralRequest): Promise<JsonValue | undefined> {
  if (request.body.kind === 'none') return undefined;
  refuseLength(Number(request.headers['content-length'] ?? 0));
  const text =
    request.body.kind === 'parsed' ? asText(request.body.value) : await readText(request.body.chunks);
  if (text === '') return undefined;
  const type = request.headers['content-type'];
  if (!type || !JSON_TYPE.test(type))
    throw unexpectedForm('content-type', 'application/json', type ?? 'nothing');
  const encoding = request.headers['content-encoding'];
  if (encoding && encoding !== 'identity' && request.body.kind === 'stream') {
    throw unexpectedForm('content-encoding', 'identity', encoding);
  }
  return parse(text);
}

function parse(text: string): JsonValue {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonRefusedError)) throw error;
    throw new OrchestratorError('invalid_request', `the body: ${error.reason}`, {
      issues: [{ path: '', expected: 'JSON', got: error.reason }],
    });
  }
}

async function readText(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.byteLength;
    refuseLength(size);
    parts.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts));
  } catch {
    throw unexpectedForm('', 'UTF-8', 'something else');
  }
}

/** What the host's middleware has made of the body, as text again, so that the same rules hold for it. */
function asText(value: unknown): string {
  const text =
    typeof value === 'string' || value instanceof Uint8Array
      ? Buffer.from(value).toString()
      : JSON.stringify(value);
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
  return new OrchestratorError('invalid_request', `${what}: expected ${expected}, got ${got.slice(0, 100)}`, {
    issues: [{ path, expected, got: got.slice(0, 100) }],
  });
}
