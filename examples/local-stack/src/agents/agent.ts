import { idSchema, nameSchema, listSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';

/** Behaviour of an agent. */
export const agentSchema = z.object({
  agent_id: idSchema,
  name: z.string().min(1).max(200),
  /** System prompt of the language model, if any. */
  instructions: z.string().max(20_000).default('Answer helpfully and briefly.'),
  /** Names of tools in the registry. */
  tools: listSchema(nameSchema, { max: 100 }).default([]),
  /** Collection that it answers from. Default: all documents. */
  collection: z.string().min(1).max(200).nullish(),
  model: z.string().min(1).max(200).nullish(),
  /** Workflow of the Workflow Engine for its requests. */
  workflow: nameSchema.nullish(),
});
/** An agent: its name, instructions and tools. */
export type Agent = z.output<typeof agentSchema>;

/** Id of the agent for requests without one. */
export const DEFAULT_AGENT_ID = 'assistant';

const TOOLS = ['calculator', 'date_time', 'text_statistics', 'document_search'];

/** Agents without any configuration. */
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
