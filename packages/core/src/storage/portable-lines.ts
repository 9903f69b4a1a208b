import { createHash } from 'node:crypto';
import { z } from 'zod';
import { OrchestratorError } from '../protocol/errors.js';
import { isDeeper } from '../protocol/json.js';
import { writeJson } from '../protocol/known-text.js';
import { describe, validate } from '../protocol/validation.js';
import { RecordChecker } from './portable-checker.js';
import { RECORD_SCHEMAS } from './portable-schemas.js';
import type { PortableKind, PortableRecord } from './portable-records.js';

const FORMAT = 'agent-orchestrator.storage';
const VERSION = 1;
/** Longest line: a page, or a task with its payload and its result. */
const MAX_LINE_BYTES = 2 ** 25;
/** Values have 512 levels at most. */
const MAX_DEPTH = 530;

/** Numbers of what an export holds. */
export type ExportCounts = RecordChecker['counts'];

/** What an export is about, from its first and last line. */
export interface ExportSummary {
  /** When it was made, ISO 8601. */
  readonly exported_at: string;
  readonly counts: ExportCounts;
  /** SHA-256 of all lines before the last one. */
  readonly sha256: string;
}

const headSchema = z.looseObject({ format: z.literal(FORMAT), version: z.int(), exported_at: z.string() });
const endSchema = z.strictObject({
  kind: z.literal('end'),
  lines: z.int(),
  counts: z.record(z.string(), z.int()),
  sha256: z.string(),
});

/** An export as lines of JSON, each with its line break. Records that do not fit together end it. */
export async function* exportLines(
  records: AsyncIterable<PortableRecord>,
  exportedAt: string,
): AsyncGenerator<string, ExportSummary> {
  const hash = createHash('sha256');
  const checker = new RecordChecker();
  let lines = 0;
  const line = (value: unknown) => {
    const text = `${writeJson(value)}\n`;
    hash.update(text);
    lines += 1;
    return text;
  };
  const head = { format: FORMAT, version: VERSION, exported_at: exportedAt };
  for await (const record of records) {
    checker.check(record);
    // Not before: a storage that is refused has no line.
    if (lines === 0) yield line(head);
    yield line(record);
  }
  if (lines === 0) yield line(head);
  const { counts } = checker;
  const sha256 = hash.digest('hex');
  yield `${JSON.stringify({ kind: 'end', lines, counts, sha256 })}\n`;
  return { exported_at: exportedAt, counts, sha256 };
}

/**
 * Reads the lines of an export. Its end is reached when all of it is intact.
 *
 * @throws {OrchestratorError} `invalid_request` with the number of the line, what was expected and what was there.
 */
export async function* readExport(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<PortableRecord, ExportSummary> {
  const reader = new LineReader();
  for await (const bytes of linesOf(chunks)) {
    const record = reader.read(bytes);
    if (record) yield record;
  }
  return reader.end();
}

class LineReader {
  readonly #hash = createHash('sha256');
  readonly #checker = new RecordChecker();
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #lines = 0;
  #exportedAt = '';
  #sha256: string | undefined;

  /** The record of a line; nothing for the first and the last one. */
  read(bytes: Uint8Array): PortableRecord | undefined {
    const number = this.#lines + 1;
    try {
      if (this.#sha256 !== undefined) refuse('nothing behind the last line', 'more');
      const json = this.#parse(bytes, number);
      if (number === 1) this.#readHead(json);
      else if (json['kind'] === 'end') return this.#readEnd(json);
      const record = number === 1 ? undefined : this.#readRecord(json);
      this.#hash.update(bytes).update('\n');
      this.#lines = number;
      return record;
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      throw new OrchestratorError(error.code, `line ${number}: ${error.message}`, { cause: error });
    }
  }

  end(): ExportSummary {
    if (this.#lines === 0) refuse('an export of a storage', 'nothing');
    if (this.#sha256 === undefined)
      refuse('a last line of kind "end"', `none behind line ${this.#lines}: the export was cut`);
    return { exported_at: this.#exportedAt, counts: this.#checker.counts, sha256: this.#sha256 };
  }

  #parse(bytes: Uint8Array, number: number): Readonly<Record<string, unknown>> {
    let text: string;
    let json: unknown;
    try {
      text = this.#decoder.decode(bytes);
      json = JSON.parse(text);
    } catch {
      return refuse(number === 1 ? 'an export of a storage' : 'a line of JSON', 'something else');
    }
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      return refuse('a JSON object', describe(json));
    if (isDeeper(text, MAX_DEPTH)) refuse(`JSON of at most ${MAX_DEPTH} levels`, 'more');
    return json as Readonly<Record<string, unknown>>;
  }

  #readHead(json: Readonly<Record<string, unknown>>): void {
    if (json['format'] !== FORMAT)
      refuse(`an export of a storage, with the format "${FORMAT}"`, 'something else');
    const { version, exported_at } = validate(headSchema, json, 'export');
    if (version !== VERSION)
      refuse(`version ${VERSION} of the format, which this program reads`, `version ${version}`);
    this.#exportedAt = exported_at;
  }

  #readRecord(json: Readonly<Record<string, unknown>>): PortableRecord {
    const { kind } = json;
    const isKnown = typeof kind === 'string' && Object.hasOwn(RECORD_SCHEMAS, kind);
    if (!isKnown) refuse(`a line of kind ${Object.keys(RECORD_SCHEMAS).join(', ')} or end`, describe(kind));
    const schema = RECORD_SCHEMAS[kind as PortableKind];
    const record = validate(schema, json, kind, 'invalid_request', 'refused') as PortableRecord;
    this.#checker.check(record);
    return record;
  }

  #readEnd(json: Readonly<Record<string, unknown>>): undefined {
    const { lines, counts, sha256 } = validate(endSchema, json, 'end');
    if (lines !== this.#lines) refuse(`${lines} lines before the last one`, String(this.#lines));
    const found = this.#hash.digest('hex');
    if (sha256 !== found)
      refuse(`lines with the SHA-256 ${sha256}`, `some with ${found}: a line was changed`);
    for (const [what, count] of Object.entries(this.#checker.counts))
      if (counts[what] !== count) refuse(`${String(counts[what])} ${what}`, String(count));
    this.#sha256 = sha256;
  }
}

function refuse(expected: string, got: string): never {
  throw new OrchestratorError('invalid_request', `expected ${expected}, got ${got}`);
}

const LINE_BREAK = 0x0a;

/** Lines without their breaks. A last one without a break is one too. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  let lines = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_BREAK); at >= 0; at = chunk.indexOf(LINE_BREAK, from)) {
      yield Buffer.concat([...parts, chunk.subarray(from, at)]);
      lines += 1;
      parts = [];
      length = 0;
      from = at + 1;
    }
    if (from === chunk.length) continue;
    parts.push(from === 0 ? chunk : chunk.slice(from));
    length += chunk.length - from;
    if (length > MAX_LINE_BYTES)
      refuse(`at most ${MAX_LINE_BYTES} bytes in line ${lines + 1}`, 'more: this is no export of a storage');
  }
  if (length > 0) yield Buffer.concat(parts);
}
