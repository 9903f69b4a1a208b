import { OrchestratorError } from '../protocol/errors.js';
import { type JsonValue, MAX_RESULT_BYTES } from '../protocol/json.js';
import { addFromText, writeJson } from '../protocol/known-text.js';
import { messageOf } from '../protocol/thrown.js';

/** A value with what it has cost. */
export interface CachedValue {
  readonly value: JsonValue;
  readonly tokens: number;
  readonly model?: string | undefined;
  /** The computation that stored it, for a value from the storage. */
  readonly token?: string;
}

/** A computed value as JSON, so that no two callers share an object that one of them may change. */
export class ComputedValue {
  /** @param text the value as JSON. */
  constructor(
    private readonly text: string,
    readonly tokens: number,
    readonly model: string | undefined,
  ) {}

  /** @throws {OrchestratorError} `invalid_request` for a value that is no JSON. */
  static of(value: unknown, tokens: number, model: string | undefined): ComputedValue {
    return new ComputedValue(textOf(value), tokens, model);
  }

  /** Whether the storage takes it. */
  get isStorable(): boolean {
    return Buffer.byteLength(this.text) <= MAX_RESULT_BYTES;
  }

  /** A copy. */
  view(): CachedValue {
    const view = { value: null as JsonValue, tokens: this.tokens, model: this.model };
    addFromText(view, 'value', this.text);
    return view;
  }
}

function textOf(value: unknown): string {
  let text: string | undefined;
  try {
    text = writeJson(value) as string | undefined;
  } catch (error) {
    throw noJson(messageOf(error), error);
  }
  if (text === undefined) throw noJson(typeof value);
  return text;
}

function noJson(got: string, cause?: unknown): OrchestratorError {
  return new OrchestratorError('invalid_request', `value: expected JSON, got ${got}`, { cause });
}
