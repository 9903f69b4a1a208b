import type { JsonObject, JsonValue } from '@agent-orchestrator/core';

/** What a question asks of a tool. */
export interface ToolRequest {
  readonly tool: string;
  /** One call for each. */
  readonly calls: readonly JsonObject[];
  /** Words what the calls gave, in their order. */
  say(outputs: readonly JsonObject[]): string;
}

/** What a question may refer to. */
export interface Wording {
  readonly message: string;
  /** The user's message before this one, if a tool answered it. */
  readonly before: string | undefined;
  /** The answer to that. */
  readonly answerBefore: string | undefined;
  readonly now: Date;
}

/** Reads a question in free wording; undefined when it does not ask for this. */
export type WordingReader = (wording: Wording) => ToolRequest | undefined;

/** `31 days`, `1 day`, from the unit in the plural. */
export function counted(count: JsonValue | undefined, units: string): string {
  const number = Number(count);
  return `${number.toLocaleString('en-US')} ${Math.abs(number) === 1 ? units.replace(/s$/, '') : units}`;
}
