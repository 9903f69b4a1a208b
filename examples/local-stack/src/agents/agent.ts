import { idSchema, nameSchema, listSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';

/** How an agent behaves. */
export const agentSchema = z.object({
  agent_id: idSchema,
  name: z.string().min(1).max(200),
  /** System prompt of the language model, if any. */
  instructions: z.string().max(20_000).default('Answer helpfully and briefly.'),
  /** Names of tools in the registry. */
  tools: listSchema(nameSchema, { max: 100 }).default([]),
  /** Documents that it answers from. Default: all. */
  collection: z.string().min(1).max(200).nullish(),
  model: z.string().min(1).max(200).nullish(),
  /** Its requests go through the Workflow Engine, as this workflow. */
  workflow: nameSchema.nullish(),
});
/** An agent: its name, instructions and tools. */
export type Agent = z.output<typeof agentSchema>;

/** The agent of a request that names none. */
export const DEFAULT_AGENT_ID = 'assistant';

const TOOLS = ['calculator', 'date_time', 'text_statistics', 'document_search'];

/** The agents there are without any configuration. */
export const DEFAULT_AGENTS: readonly Agent[] = [
  {
    agent_id: DEFAULT_AGENT_ID,
    name: 'Assistant',
    instructions: 'You answer questions from the ingested documents and cite them. Be brief and exact.',
    tools: TOOLS,
  },
  {
    agent_id: 'researcher',
    name: 'Researcher',
    instructions: 'You use tools first, then the documents, and answer from both.',
    tools: TOOLS,
    workflow: 'tool_workflow',
  },
];
