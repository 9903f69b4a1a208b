import { type JsonObject, type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import { cutText, validate, listSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { withoutRepeat } from '../query/question.js';
import { type OperationContext, operation, type ServiceDefinition } from '../service-definition.js';
import { textOfJson } from '../text/json-text.js';
import type { ToolDescription } from '../tools/tool.js';
import { passagesIn } from './search-wording.js';
import { chooseTool } from './tool-choice.js';
import type { ToolRequest } from './tool-request.js';

const runInput = z.object({
  agent: z.looseObject({
    agent_id: z.string().nullish(),
    instructions: z.string().nullish(),
    tools: listSchema(z.string(), { max: 100 }).nullish(),
    collection: z.string().nullish(),
  }),
  message: z.string().trim().min(1).max(100_000),
  messages: listSchema(z.looseObject({ role: z.string(), content: z.string() }), { max: 1_000 }).nullish(),
  /** `stage: 'tools'` stops after the tools, `'answer'` skips them; `facts` are the results of the tools. */
  context: z
    .looseObject({
      stage: z.enum(['tools', 'answer']).nullish().catch(undefined),
      facts: listSchema(z.string(), { max: 20 }).nullish().catch(undefined),
    })
    .nullish(),
});
type RunInput = z.output<typeof runInput>;

/** Earlier turns passed to the query service, and characters of each. */
const TURNS = 20;
const TURN_LENGTH = 10_000;

const toolsSchema = z.object({
  tools: listSchema(
    z.object({ name: z.string(), description: z.string(), parameters: z.custom<JsonObject>() }),
    { max: 1_000 },
  ),
});
const sourceSchema = z.object({ id: z.string(), title: z.string(), quote: z.string(), score: z.number() });
const answerSchema = z.object({
  answer: z.string(),
  sources: listSchema(sourceSchema, { max: 100 }),
  model: z.string(),
});
type Source = z.output<typeof sourceSchema>;

type AgentAnswer = { content: string; sources?: Source[]; steps?: JsonObject[] };

export interface AgentExecutionOptions {
  /** Current time. Default: the system clock. */
  readonly now?: () => Date;
}

/** Answers as an agent: with a tool if the question needs one, else from the documents. */
export function agentExecutionService(options: AgentExecutionOptions = {}): ServiceDefinition {
  const now = options.now ?? (() => new Date());
  return {
    name: 'agent_execution',
    operations: {
      run: operation({
        input: runInput,
        answers: 'later',
        async run(input, context): Promise<JsonValue> {
          const stage = input.context?.stage;
          const used = stage === 'answer' ? undefined : await useTool(input, context, now());
          if (used !== undefined) return used;
          if (stage === 'tools') return { content: '', steps: [] };
          return answerFromDocuments(input, context);
        },
      }),
    },
  };
}

async function useTool(
  input: RunInput,
  context: OperationContext,
  now: Date,
): Promise<AgentAnswer | undefined> {
  const allowed = input.agent.tools ?? [];
  if (allowed.length === 0) return undefined;
  context.progress('choosing a tool');
  const tools = (await toolsOf(input, context)).filter(({ name }) => allowed.includes(name));
  const request = chooseTool(input.message, withoutRepeat(input.messages ?? [], input.message), tools, now);
  if (request === undefined) return undefined;
  context.progress(`using ${request.tool}`);
  return execute(request, context);
}

async function toolsOf({ agent }: RunInput, context: OperationContext): Promise<ToolDescription[]> {
  const listed = await context.call(
    'tool_registry',
    'list_tools',
    agent.agent_id ? { agent_id: agent.agent_id } : {},
  );
  return validate(toolsSchema, listed, 'tool_registry.list_tools result', 'invalid_response').tools;
}

async function execute(request: ToolRequest, context: OperationContext): Promise<AgentAnswer> {
  const steps: JsonObject[] = [];
  const outputs: JsonObject[] = [];
  try {
    for (const args of request.calls) {
      const answer = await context.call('tool_registry', 'execute_tool', {
        name: request.tool,
        arguments: args,
      });
      const output = (answer as { output?: JsonValue } | null)?.output ?? null;
      steps.push({ tool: request.tool, arguments: args, output });
      outputs.push(
        typeof output === 'object' && output !== null && !Array.isArray(output)
          ? output
          : { text: textOfJson(output) },
      );
    }
  } catch (error) {
    // The refusal of an impossible calculation, such as a division by zero, is the answer.
    if (!(error instanceof OrchestratorError) || error.code !== 'invalid_request') throw error;
    return { content: `That can't be worked out. ${error.message}.`, steps };
  }
  const sources = outputs.flatMap(passagesIn);
  return { content: request.say(outputs), steps, ...(sources.length > 0 && { sources }) };
}

async function answerFromDocuments(input: RunInput, context: OperationContext): Promise<AgentAnswer> {
  context.progress('reading the documents');
  const { agent, message, messages } = input;
  const facts = input.context?.facts ?? [];
  const answered = await context.call('query', 'query', {
    question: message,
    messages: (messages ?? [])
      .slice(-TURNS)
      .map(({ role, content }) => ({ role, content: cutText(content, TURN_LENGTH) })),
    ...(agent.collection && { collection: agent.collection }),
    ...(agent.instructions && { instructions: agent.instructions }),
    ...(facts.length > 0 && { facts }),
  });
  const { answer, sources, model } = validate(
    answerSchema,
    answered,
    'query.query result',
    'invalid_response',
  );
  const step = { service: 'query', operation: 'query', model, sources: sources.length };
  return { content: answer, sources, steps: [step] };
}
