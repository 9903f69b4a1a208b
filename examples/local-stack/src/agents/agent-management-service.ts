import { type JsonObject, OrchestratorError } from '@agent-orchestrator/core';
import { idSchema, validate } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { operation, type ServiceDefinition } from '../service-definition.js';
import { type Change, refuseBeyond, type Restoring, TenantState } from '../tenant-state.js';
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
  const tenants = new TenantState({ create: () => new Map<string, Agent | null>(), restoring });
  let loading: Promise<readonly Agent[]> | undefined;
  const agentsOf = async (tenantId: string): Promise<Map<string, Agent>> => {
    loading ??= shared();
    const agents = new Map((await loading).map((agent) => [agent.agent_id, agent]));
    // By id: a store has no order.
    for (const [id, agent] of [...(tenants.peek(tenantId) ?? [])].toSorted(byId)) {
      if (agent === null) agents.delete(id);
      else agents.set(id, agent);
    }
    return agents;
  };
  return {
    name: 'agent_management',
    state: tenants,
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
        run: (agent, context) => tenants.change(context, (own) => putting(own, agent)),
      }),
      delete_agent: operation({
        input: z.object({ agent_id: idSchema }),
        answers: 'at_once',
        async run({ agent_id }, context) {
          found(await agentsOf(context.tenant_id), agent_id);
          const isShared = (await loading)?.some((agent) => agent.agent_id === agent_id) === true;
          return tenants.change(context, (own) => deleting(own, agent_id, isShared));
        },
      }),
    },
  };
}

type Agents = Map<string, Agent | null>;

function putting(own: Agents, agent: Agent): Change<JsonObject> {
  if (!own.has(agent.agent_id)) refuseBeyond(own.size, MAX_AGENTS, 'agents');
  return {
    entries: [{ key: agent.agent_id, value: described(agent) }],
    apply() {
      own.set(agent.agent_id, agent);
      return described(agent);
    },
  };
}

function deleting(own: Agents, agentId: string, isShared: boolean): Change<JsonObject> {
  return {
    entries: [{ key: agentId, ...(isShared && { value: null }) }],
    apply() {
      if (isShared) own.set(agentId, null);
      else own.delete(agentId);
      return { agent_id: agentId };
    },
  };
}

function restoring(): Restoring<Agents> {
  const agents = new Map<string, Agent | null>();
  return {
    add: (key, value) =>
      agents.set(key, value === null ? null : validate(agentSchema, value, 'agent', 'internal_error')),
    end: () => agents,
  };
}

function byId([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
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
