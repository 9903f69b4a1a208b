import { type JsonObject, type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import {
  idSchema,
  jsonObjectSchema,
  nameSchema,
  listSchema,
  validate,
} from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { operation, type ServiceDefinition } from '../service-definition.js';
import { type Change, refuseBeyond, type Restoring, TenantState } from '../tenant-state.js';
import { type ArgumentCheck, argumentCheck } from './argument-check.js';
import { builtInTools, delegatingTool, formulaTool } from './built-in-tools.js';
import { evaluate } from './calculator.js';
import type { Tool } from './tool.js';

/** Maximum of tools that a tenant may register. */
const MAX_TOOLS = 200;
/** Services that call tools themselves: a tool that calls them could recurse endlessly. */
const NOT_DELEGATED_TO = ['tool_registry', 'agent_execution', 'workflow_engine'];

const registerInput = z.object({
  name: nameSchema,
  description: z.string().min(1).max(2_000),
  parameters: jsonObjectSchema,
  /** Either a formula of the numeric parameters, or an operation of a service that takes the arguments. */
  expression: z.string().min(1).max(2_000).nullish(),
  delegate: z.object({ service: idSchema, operation: nameSchema }).nullish(),
  /** Agents that may use it. Default: all. */
  agents: listSchema(idSchema, { max: 100 }).nullish(),
});
type Registration = z.output<typeof registerInput>;

interface Registered {
  readonly tool: Tool;
  readonly check: ArgumentCheck;
  readonly agents: readonly string[] | undefined;
}

export interface ToolRegistryOptions {
  /** Current time. Default: the system clock. */
  readonly now?: () => Date;
}

/**
 * Lists tools, validates their arguments, runs them. A tenant has the built-in ones and those it registers.
 */
export function toolRegistryService(options: ToolRegistryOptions = {}): ServiceDefinition {
  const builtIn = new Map(builtInTools(options.now).map((tool) => [tool.description.name, registered(tool)]));
  const tenants = new TenantState({ create: () => new Map<string, Registered>(), restoring });
  const toolsOf = (tenantId: string) => [
    ...builtIn.values(),
    // By name: a store has no order.
    ...[...(tenants.peek(tenantId)?.values() ?? [])].toSorted(byName),
  ];
  return {
    name: 'tool_registry',
    state: tenants,
    operations: {
      list_tools: operation({
        input: z.object({ agent_id: idSchema.nullish() }),
        answers: 'at_once',
        async run({ agent_id }, { tenant_id }) {
          const usable = toolsOf(tenant_id).filter(
            ({ agents }) => !agent_id || !agents || agents.includes(agent_id),
          );
          return { tools: usable.map(({ tool }) => tool.description) };
        },
      }),
      register_tool: operation({
        input: registerInput,
        answers: 'at_once',
        async run(input, context) {
          if (builtIn.has(input.name)) {
            throw new OrchestratorError(
              'conflict',
              `name: expected another than that of a built-in tool, got "${input.name}"`,
              {
                retryable: false,
              },
            );
          }
          const tool = registered(toolFrom(input), input.agents ?? undefined);
          return tenants.change(context, (own) => registering(own, input, tool));
        },
      }),
      execute_tool: operation({
        input: z.object({ name: z.string().max(200), arguments: jsonObjectSchema }),
        answers: 'at_once',
        async run({ name, arguments: args }, context) {
          const known = toolsOf(context.tenant_id).find(({ tool }) => tool.description.name === name);
          if (known === undefined)
            throw new OrchestratorError('not_found', `tool "${name}": there is no such tool`);
          known.check(args);
          return { output: await known.tool.run(args, context) };
        },
      }),
    },
  };
}

type Tools = Map<string, Registered>;

function registering(own: Tools, input: Registration, tool: Registered): Change<JsonObject> {
  const { name } = input;
  if (!own.has(name)) refuseBeyond(own.size, MAX_TOOLS, 'tools');
  return {
    entries: [{ key: name, value: input as unknown as JsonValue }],
    apply() {
      own.set(name, tool);
      return { name };
    },
  };
}

function restoring(): Restoring<Tools> {
  const tools = new Map<string, Registered>();
  return {
    add(key, value) {
      const registration = validate(registerInput, value, 'tool', 'internal_error');
      tools.set(key, registered(toolFrom(registration), registration.agents ?? undefined));
    },
    end: () => tools,
  };
}

function byName({ tool: a }: Registered, { tool: b }: Registered): number {
  return a.description.name < b.description.name ? -1 : 1;
}

function registered(tool: Tool, agents?: readonly string[]): Registered {
  return { tool, check: argumentCheck(tool.description.name, tool.description.parameters), agents };
}

function toolFrom({ name, description, parameters, expression, delegate }: Registration): Tool {
  const about = { name, description, parameters };
  if (expression && !delegate) {
    tryFormula(expression, parameters);
    return formulaTool(about, expression);
  }
  if (delegate && !expression) {
    if (NOT_DELEGATED_TO.includes(delegate.service)) {
      throw new OrchestratorError(
        'invalid_request',
        `delegate.service: expected a service that calls no tools, got "${delegate.service}"`,
      );
    }
    return delegatingTool(about, delegate);
  }
  throw new OrchestratorError(
    'invalid_request',
    `tool "${name}": expected either "expression" or "delegate", got ${expression ? 'both' : 'none'}`,
  );
}

/** An invalid formula is refused at registration, not at its first use. */
function tryFormula(expression: string, parameters: JsonObject): void {
  const names = Object.keys((parameters['properties'] ?? {}) as JsonObject);
  try {
    evaluate(expression, Object.fromEntries(names.map((name) => [name, Math.SQRT2])));
  } catch (error) {
    // Some formulas have no value for these arguments; it matters only that they parse.
    if (!(error instanceof OrchestratorError) || / at position |characters|levels/.test(error.message))
      throw error;
  }
}
