import type { JsonObject, JsonValue } from '@agent-orchestrator/core';
import type { OperationContext } from '../service-definition.js';

/** Public description of a tool. */
export type ToolDescription = {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments, an object. */
  readonly parameters: JsonObject;
};

/** A capability of an agent besides answering. */
export interface Tool {
  readonly description: ToolDescription;
  /** The arguments are valid by `parameters`. */
  run(args: JsonObject, context: OperationContext): Promise<JsonValue>;
}
