import { checkText } from '../protocol/bounded-json.js';
import { BRACE, BRACKET, COMMA, endOfString, type JsonObject, QUOTE } from '../protocol/json.js';
import { writeJson } from '../protocol/known-text.js';

const RULE = { what: 'context after the merge', tooLarge: 'payload_too_large' } as const;

/**
 * Merges a change into a session's context; `null` removes a field. Works on text: unchanged fields are neither parsed nor
 * serialised.
 * @param before compact JSON, as returned by this function.
 * @throws {OrchestratorError} `payload_too_large` above 1 MiB.
 */
export function mergedContext(before: string, change: JsonObject): string {
  const text = merged(before, writeJson(change));
  checkText(text, RULE);
  return text;
}

function merged(before: string, change: string): string {
  const changes = new Map<string, string>();
  for (const { name, from, to } of membersOf(change)) changes.set(name, change.slice(from, to));
  const parts: string[] = [];
  /** Start of the current run of unchanged fields. */
  let kept = 1;
  for (const { name, from, to } of membersOf(before)) {
    const field = changes.get(name);
    if (field === undefined) continue;
    parts.push(before.slice(kept, from - 1), isRemoval(name, field) ? '' : field);
    changes.delete(name);
    kept = to + 1;
  }
  parts.push(before.slice(kept, -1));
  for (const [name, field] of changes) if (!isRemoval(name, field)) parts.push(field);
  return `{${parts.filter((part) => part !== '').join(',')}}`;
}

function isRemoval(name: string, field: string): boolean {
  return field.length === name.length + ':null'.length && field.endsWith(':null');
}

interface Member {
  /** Including its quotes. */
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** Fields of an object in compact JSON. */
function* membersOf(text: string): Generator<Member> {
  for (let from = 1; from < text.length - 1;) {
    const nameEnd = endOfString(text, from) + 1;
    const to = endOfValue(text, nameEnd + 1);
    yield { name: text.slice(from, nameEnd), from, to };
    from = to + 1;
  }
}

/** Index of the comma or bracket after a value. */
function endOfValue(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) at = endOfString(text, at);
    else if (character === BRACKET || character === BRACE) depth += 1;
    else if (character === BRACKET + 2 || character === BRACE + 2) {
      if (depth === 0) return at;
      depth -= 1;
    } else if (character === COMMA && depth === 0) return at;
  }
  return text.length;
}
