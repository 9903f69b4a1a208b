import type { JsonObject, JsonValue } from '@agent-orchestrator/core';

/** Tool calls of a question. */
export interface ToolRequest {
  readonly tool: string;
  /** Arguments of each call. */
  readonly calls: readonly JsonObject[];
  /** Words the outputs of the calls, in their order. */
  say(outputs: readonly JsonObject[]): string;
}

/** A question with its context. */
export interface Wording {
  readonly message: string;
  /** The user's previous message, if a tool answered it. */
  readonly before: string | undefined;
  /** Answer to `before`. */
  readonly answerBefore: string | undefined;
  readonly now: Date;
}

/** Reads a question in free wording; `undefined` if it is about something else. */
export type WordingReader = (wording: Wording) => ToolRequest | undefined;

/** `31 days`, `1 day`, from the plural unit. */
export function counted(count: JsonValue | undefined, units: string): string {
  const number = Number(count);
  return `${number.toLocaleString('en-US')} ${Math.abs(number) === 1 ? units.replace(/s$/, '') : units}`;
}
