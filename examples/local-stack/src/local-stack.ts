import { DEFAULT_AGENTS } from './agents/agent.js';
import { agentManagementService } from './agents/agent-management-service.js';
import { readAgentsFile } from './agents/agents-file.js';
import { conversationService } from './conversation/conversation-service.js';
import { type EmbeddingChoice, embeddingService } from './embedding/embedding-service.js';
import { agentExecutionService } from './execution/agent-execution-service.js';
import { ingestionService } from './ingestion/ingestion-service.js';
import type { ModelEndpoint } from './models/model-endpoint.js';
import { ModelWriter } from './query/model-writer.js';
import { queryService } from './query/query-service.js';
import type { Gateway, ServiceDefinition } from './service-definition.js';
import { type JobNotifier, ServiceHost, type ServiceHostOptions } from './service-host.js';
import { toolRegistryService } from './tools/tool-registry-service.js';
import { workflowEngineService } from './workflows/workflow-engine-service.js';

/** Settings of the services of the local stack. */
export interface DefinitionOptions {
  /** Model that writes the answers. Default: none, answers are extracts of the documents. */
  readonly llm?: ModelEndpoint;
  /** JSON file of the agents of every tenant. Default: `assistant` and `researcher`. */
  readonly agentsFile?: string;
  /** Source of vectors. Default `auto`. */
  readonly embedding?: EmbeddingChoice;
  /** Current time, for the date tool. Default: the system clock. */
  readonly now?: () => Date;
}

/** Options of `createLocalStack`. */
export interface LocalStackOptions extends DefinitionOptions {
  /** Gateway of a service to the others. Called once for each service. */
  readonly gatewayFor: (service: string) => Gateway;
  /** Notifier of a service for its outcomes. Called once for each service. */
  readonly notifierFor: (service: string) => JobNotifier;
  /** Services to run, such as those that `restoreServices` has restored. Default: `serviceDefinitions` of these options. */
  readonly definitions?: readonly ServiceDefinition[];
  /** Limits and error report of the hosts. */
  readonly host?: Omit<ServiceHostOptions, 'definition' | 'gateway' | 'notifier'>;
}

/** The running services of the local stack. */
export interface LocalStack extends AsyncDisposable {
  /** By name, running. */
  readonly services: Readonly<Record<string, ServiceHost>>;
  readonly definitions: readonly ServiceDefinition[];
  /** Fails running jobs as retryable and resolves once they have ended. Idempotent. */
  stop(): Promise<void>;
}

/** The eight services, not running. Each can also be hosted in a process of its own. */
export function serviceDefinitions(options: DefinitionOptions = {}): ServiceDefinition[] {
  const { llm, agentsFile, embedding, now } = options;
  const clock = now && { now };
  return [
    conversationService(),
    agentManagementService(async () =>
      agentsFile === undefined ? DEFAULT_AGENTS : readAgentsFile(agentsFile),
    ),
    agentExecutionService({ ...clock }),
    workflowEngineService(),
    toolRegistryService({ ...clock }),
    queryService(llm && new ModelWriter(llm)),
    embeddingService(embedding),
    ingestionService(),
  ];
}

/** The eight services in this process. They reach each other through the gateway only. */
export function createLocalStack(options: LocalStackOptions): LocalStack {
  const { gatewayFor, notifierFor, host } = options;
  const { definitions = serviceDefinitions(options) } = options;
  const hosts = definitions.map(
    (definition) =>
      new ServiceHost({
        ...host,
        definition,
        gateway: gatewayFor(definition.name),
        notifier: notifierFor(definition.name),
      }),
  );
  for (const service of hosts) service.start();
  const stop = async () => {
    await Promise.all(hosts.map((service) => service.stop()));
  };
  return {
    services: Object.fromEntries(hosts.map((service) => [service.name, service])),
    definitions,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
