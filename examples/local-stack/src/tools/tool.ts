import type { JsonObject, JsonValue } from '@agent-orchestrator/core';
import type { OperationContext } from '../service-definition.js';

/** Public description of a tool. */
export type ToolDescription = {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments, an object. */
  readonly parameters: JsonObject;
};

/** Something an agent can do besides answering. */
export interface Tool {
  readonly description: ToolDescription;
  /** Arguments were checked against `parameters`. */
  run(args: JsonObject, context: OperationContext): Promise<JsonValue>;
}
