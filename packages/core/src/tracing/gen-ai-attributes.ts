import type { Usage } from '../protocol/usage.js';
import type { Attributes } from './spans.js';

/**
 * Attributes of OpenTelemetry's GenAI conventions (semantic-conventions-genai v0.1.0). All of them are in development and change
 * names, so this is the one file that knows them, and they are set only with the opt-in that the conventions ask for.
 */
const OPT_IN = 'gen_ai_latest_experimental';
const PROVIDER = 'agent_orchestrator';

/** `gen_ai.operation.name` by service and operation of the built-in flows. */
const OPERATIONS: Readonly<Record<string, string>> = {
  'query.query': 'chat',
  'query.complete': 'chat',
  'embedding.embed': 'embeddings',
  'agent_execution.run': 'invoke_agent',
  'tool_registry.execute_tool': 'execute_tool',
  'workflow_engine.run_workflow': 'invoke_workflow',
};

/** A call to a service, or to a model. */
export interface GenAiCall {
  readonly service: string;
  readonly operation: string;
  readonly sessionId?: string | undefined;
  /** Read for the names of model, agent and tool only. */
  readonly input: () => unknown;
}

/** Whether `OTEL_SEMCONV_STABILITY_OPT_IN` names the GenAI conventions. */
function isOptedIn(): boolean {
  const list = process.env['OTEL_SEMCONV_STABILITY_OPT_IN'] ?? '';
  return list.split(',').some((entry) => entry.trim() === OPT_IN);
}

/** Of a call to a service of the built-in flows; nothing for others. */
export function genAiCallAttributes({ service, operation, sessionId, input }: GenAiCall): Attributes {
  const name = isOptedIn() ? OPERATIONS[`${service}.${operation}`] : undefined;
  if (name === undefined) return {};
  const given = input();
  return {
    ...common(name, sessionId),
    ...named('gen_ai.request.model', textAt(given, 'model')),
    ...(name === 'execute_tool' && named('gen_ai.tool.name', textAt(given, 'name'))),
    ...(name === 'invoke_workflow' && named('gen_ai.agent.name', textAt(given, 'workflow'))),
    ...(name === 'invoke_agent' && named('gen_ai.agent.name', textAt(fieldOf(given, 'agent'), 'agent_id'))),
  };
}

/** Of a run of a task: a chat invokes its agent, any other type its workflow. */
export function genAiRunAttributes(task: {
  readonly type: string;
  readonly agent_id?: string | undefined;
  readonly session_id?: string | undefined;
}): Attributes {
  if (!isOptedIn()) return {};
  if (task.type !== 'agent_execution')
    return { ...common('invoke_workflow', task.session_id), 'gen_ai.agent.name': task.type };
  return { ...common('invoke_agent', task.session_id), ...named('gen_ai.agent.name', task.agent_id) };
}

/** Of an answer that reported usage. */
export function genAiUsageAttributes(usage: Usage | undefined): Attributes {
  if (!usage || !isOptedIn()) return {};
  const { model, prompt_tokens, completion_tokens } = usage;
  return {
    'gen_ai.response.model': model,
    ...(prompt_tokens !== undefined && { 'gen_ai.usage.input_tokens': prompt_tokens }),
    ...(completion_tokens !== undefined && { 'gen_ai.usage.output_tokens': completion_tokens }),
  };
}

function common(operation: string, sessionId: string | undefined): Attributes {
  return {
    'gen_ai.operation.name': operation,
    'gen_ai.provider.name': PROVIDER,
    ...named('gen_ai.conversation.id', sessionId),
  };
}

function named(attribute: string, value: string | undefined): Attributes {
  return value === undefined ? {} : { [attribute]: value };
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

/** A name, as names are: anything else at this place is not shown. */
function textAt(value: unknown, name: string): string | undefined {
  const text = fieldOf(value, name);
  return typeof text === 'string' && /^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,99}$/.test(text) ? text : undefined;
}
