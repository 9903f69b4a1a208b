import type { JsonObject, JsonValue } from '../../protocol/json.js';
import type { WorkflowContext, WorkflowFunction } from '../context.js';

/** The payload of a chat task. */
export interface ChatPayload {
  readonly message: string;
  readonly context?: JsonObject;
}

/** Answer of Agent Execution, as far as the flow reads it. */
interface Answer {
  readonly content?: JsonValue;
}

interface Agent {
  readonly agent_id: string;
  readonly workflow?: string | null;
}

const HISTORY = 20;
const DEFAULT_AGENT = 'assistant';

/**
 * The chat workflow: context from the Conversation service, the agent from Agent Management, the answer from Agent Execution,
 * or from the Workflow Engine if the agent's configuration names a `workflow`. Without the first two services it uses the
 * orchestrator's own history and an agent with only an id.
 */
export function conversation(services: { has(name: string): boolean }): WorkflowFunction<ChatPayload> {
  return async (ctx, payload) => {
    const { message, context = {} } = payload;
    const archived = services.has('conversation') && ctx.sessionId !== undefined;
    const [messages, agent] = await Promise.all([history(ctx, archived), agentOf(ctx, services)]);
    if (archived) await archive(ctx, 'user', message);
    const answer =
      typeof agent.workflow === 'string'
        ? await throughWorkflowEngine(ctx, message, agent, messages)
        : await ctx.call<Answer>('agent_execution', 'run', {
            agent: { ...agent },
            message,
            messages,
            context,
          });
    if (archived && typeof answer?.content === 'string') await archive(ctx, 'assistant', answer.content);
    return answer;
  };
}

async function history(ctx: WorkflowContext, archived: boolean): Promise<JsonValue> {
  if (ctx.sessionId === undefined) return [];
  if (archived) {
    const { messages } = await ctx.call<{ messages: JsonValue }>('conversation', 'get_context', {
      session_id: ctx.sessionId,
      limit: HISTORY,
    });
    return messages;
  }
  const recent = await ctx.session.messages({ limit: HISTORY });
  const own = recent.findIndex((message) => message.task_id === ctx.taskId);
  // Excludes later questions, but not answers to earlier ones, which may come after this question.
  return recent
    .filter(({ role }, index) => index !== own && (own < 0 || index < own || role !== 'user'))
    .map(({ role, content, created_at }) => ({ role, content, created_at }));
}

async function agentOf(ctx: WorkflowContext, services: { has(name: string): boolean }): Promise<Agent> {
  const agent_id = ctx.agentId ?? DEFAULT_AGENT;
  return services.has('agent_management')
    ? ctx.call('agent_management', 'get_agent', { agent_id })
    : { agent_id };
}

async function archive(ctx: WorkflowContext, role: 'user' | 'assistant', content: string): Promise<void> {
  const session_id = ctx.sessionId ?? '';
  await ctx.call('conversation', 'append_message', {
    session_id,
    role,
    content,
    metadata: { task_id: ctx.taskId },
  });
}

async function throughWorkflowEngine(
  ctx: WorkflowContext,
  message: string,
  agent: Agent,
  messages: JsonValue,
) {
  const identified = await ctx.call<{ workflow: string; input?: JsonObject }>(
    'workflow_engine',
    'identify_workflow',
    { message, agent: { ...agent } },
  );
  const input = { ...identified.input, messages };
  return ctx.call<Answer>('workflow_engine', 'run_workflow', { workflow: identified.workflow, input });
}
