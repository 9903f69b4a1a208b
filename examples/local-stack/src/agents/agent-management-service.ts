import { type JsonObject, OrchestratorError } from '@agent-orchestrator/core';
import { idSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { operation, type ServiceDefinition } from '../service-definition.js';
import { refuseBeyond, TenantState } from '../tenant-state.js';
import { type Agent, agentSchema, DEFAULT_AGENT_ID } from './agent.js';

/** Maximum of agents that a tenant may add. */
const MAX_AGENTS = 1_000;

/**
 * Agents: shared ones, and those that a tenant has added, replaced or deleted.
 *
 * @param shared agents of all tenants; read once, at the first call.
 */
export function agentManagementService(shared: () => Promise<readonly Agent[]>): ServiceDefinition {
  /** `null`: the tenant deleted a shared agent. */
  const tenants = new TenantState(() => new Map<string, Agent | null>());
  let loading: Promise<readonly Agent[]> | undefined;
  const agentsOf = async (tenantId: string): Promise<Map<string, Agent>> => {
    loading ??= shared();
    const agents = new Map((await loading).map((agent) => [agent.agent_id, agent]));
    for (const [id, agent] of tenants.peek(tenantId) ?? []) {
      if (agent === null) agents.delete(id);
      else agents.set(id, agent);
    }
    return agents;
  };
  return {
    name: 'agent_management',
    operations: {
      get_agent: operation({
        input: z.object({ agent_id: idSchema.nullish() }),
        answers: 'at_once',
        async run({ agent_id }, { tenant_id }) {
          return described(found(await agentsOf(tenant_id), agent_id ?? DEFAULT_AGENT_ID));
        },
      }),
      list_agents: operation({
        input: z.object({}),
        answers: 'at_once',
        async run(_input, { tenant_id }) {
          return { agents: [...(await agentsOf(tenant_id)).values()].map(described) };
        },
      }),
      put_agent: operation({
        input: agentSchema,
        answers: 'at_once',
        changes: true,
        async run(agent, { tenant_id }) {
          const own = tenants.of(tenant_id);
          if (!own.has(agent.agent_id)) refuseBeyond(own.size, MAX_AGENTS, 'agents');
          own.set(agent.agent_id, agent);
          return described(agent);
        },
      }),
      delete_agent: operation({
        input: z.object({ agent_id: idSchema }),
        answers: 'at_once',
        changes: true,
        async run({ agent_id }, { tenant_id }) {
          found(await agentsOf(tenant_id), agent_id);
          const own = tenants.of(tenant_id);
          const isShared = (await loading)?.some((agent) => agent.agent_id === agent_id) === true;
          if (isShared) own.set(agent_id, null);
          else own.delete(agent_id);
          return { agent_id };
        },
      }),
    },
  };
}

function found(agents: ReadonlyMap<string, Agent>, agentId: string): Agent {
  const agent = agents.get(agentId);
  if (agent !== undefined) return agent;
  throw new OrchestratorError('not_found', `agent "${agentId}": there is no such agent`);
}

/** Without absent fields. */
function described({ agent_id, name, instructions, tools, collection, model, workflow }: Agent): JsonObject {
  return {
    agent_id,
    name,
    instructions,
    tools,
    ...(collection && { collection }),
    ...(model && { model }),
    ...(workflow && { workflow }),
  };
}
