import { type JsonObject, type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import { jsonObjectSchema, validate, listSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { documentSchema } from '../ingestion/ingestion-service.js';
import { type OperationContext, operation, type ServiceDefinition } from '../service-definition.js';

/** Maximum of documents per run of `ingestion`. */
const MAX_DOCUMENTS = 100;

type Workflow = (input: JsonObject, context: OperationContext) => Promise<JsonValue>;

/** Workflows over several services, by name. */
const WORKFLOWS: Readonly<Record<string, Workflow>> = {
  ingestion: ingestDocuments,
  tool_workflow: answerWithTools,
};
const DEFAULT_WORKFLOW = 'tool_workflow';

const requestSchema = z.object({
  message: z.string().min(1),
  agent: z.looseObject({ workflow: z.string().nullish() }),
  messages: listSchema(z.unknown(), { max: 1_000 }).nullish(),
  context: z.unknown().optional(),
});

/** Identifies the workflow of a request, and runs workflows. */
export function workflowEngineService(): ServiceDefinition {
  return {
    name: 'workflow_engine',
    operations: {
      identify_workflow: operation({
        input: requestSchema,
        answers: 'at_once',
        async run(request) {
          const workflow = request.agent.workflow ?? DEFAULT_WORKFLOW;
          workflowNamed(workflow);
          return { workflow, input: request as JsonObject };
        },
      }),
      run_workflow: operation({
        input: z.object({ workflow: z.string().max(200), input: jsonObjectSchema }),
        answers: 'later',
        run: ({ workflow, input }, context) => workflowNamed(workflow)(input, context),
      }),
    },
  };
}

function workflowNamed(name: string): Workflow {
  const workflow = Object.hasOwn(WORKFLOWS, name) ? WORKFLOWS[name] : undefined;
  if (workflow !== undefined) return workflow;
  const expected = Object.keys(WORKFLOWS).join(', ');
  throw new OrchestratorError('unknown_workflow', `workflow: expected one of ${expected}, got "${name}"`);
}

const ingestionInput = z.union([
  z.object({ documents: listSchema(documentSchema, { min: 1, max: MAX_DOCUMENTS }) }),
  documentSchema,
]);

/** One document `{name, content, …}`, or several as `{documents: […]}`, sequentially. */
async function ingestDocuments(input: JsonObject, context: OperationContext): Promise<JsonValue> {
  const checked = validate(ingestionInput, input, 'input of the workflow "ingestion"');
  if (!('documents' in checked)) return context.call('ingestion', 'ingest_document', checked as JsonObject);
  const ingested: JsonValue[] = [];
  for (const document of checked.documents) {
    const percent = Math.round((100 * ingested.length) / checked.documents.length);
    context.progress(`ingesting ${document.name}`, { percent });
    const result = await context.call('ingestion', 'ingest_document', document as JsonObject);
    ingested.push({ name: document.name, ...(result as JsonObject) });
  }
  return { documents: ingested };
}

const toolStageSchema = z.looseObject({
  content: z.string(),
  steps: listSchema(z.unknown(), { max: 1_000 }).nullish(),
});

/** Agent Execution runs both stages: tools first, then the answer from their results and the documents. */
async function answerWithTools(input: JsonObject, context: OperationContext): Promise<JsonValue> {
  const {
    message,
    agent,
    messages,
    context: given,
  } = validate(requestSchema, input, 'input of the workflow "tool_workflow"');
  const shared = { message, agent: agent as JsonObject, messages: (messages ?? []) as JsonValue[] };
  const around =
    typeof given === 'object' && given !== null && !Array.isArray(given) ? (given as JsonObject) : {};
  context.progress('using tools', { percent: 10 });
  const tools = await context.call('agent_execution', 'run', {
    ...shared,
    context: { ...around, stage: 'tools' },
  });
  const { content, steps } = validate(
    toolStageSchema,
    tools,
    'agent_execution.run result',
    'invalid_response',
  );
  const facts = content === '' ? [] : [content];
  context.progress('answering', { percent: 60 });
  const answer = await context.call('agent_execution', 'run', {
    ...shared,
    context: { ...around, stage: 'answer', facts },
  });
  return { ...(answer as JsonObject), steps: [...((steps ?? []) as JsonValue[]), ...stepsOf(answer)] };
}

function stepsOf(answer: JsonValue): JsonValue[] {
  const parsed = toolStageSchema.safeParse(answer);
  return parsed.success ? ((parsed.data.steps ?? []) as JsonValue[]) : [];
}
