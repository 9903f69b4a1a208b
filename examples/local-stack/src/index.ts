export { type Agent, agentSchema, DEFAULT_AGENT_ID, DEFAULT_AGENTS } from './agents/agent.js';
export { type EmbeddingChoice } from './embedding/embedding-service.js';
export { MEDIA_TYPES, type MediaType, mediaTypeOf } from './ingestion/media-type.js';
export {
  createLocalStack,
  type DefinitionOptions,
  type LocalStack,
  type LocalStackOptions,
  serviceDefinitions,
} from './local-stack.js';
export {
  type Ask,
  evaluate,
  type EvaluationPart,
  type EvaluationQuestions,
  type EvaluationRow,
  statsOf,
  formatEvaluation,
  isGoodEnough,
  readDocuments,
  readQuestions,
  runEvaluation,
} from './evaluation.js';
export { evaluateThisProject, runLocalEvaluation } from './evaluation-run.js';
export { addLocalStack } from './orchestrated-stack.js';
export { type ModelEndpoint } from './models/model-endpoint.js';
export { NO_DOCUMENTS, NOT_FOUND } from './query/answer-writer.js';
export {
  type DurableState,
  type Gateway,
  operation,
  type OperationContext,
  type OperationDefinition,
  type ServiceDefinition,
} from './service-definition.js';
export { type OpenStore, restoreServices, type ServiceStores } from './service-stores.js';
export { SERVICE_PROGRAM } from './remote/service-program.js';
export { ServiceListener, type ServiceListenerOptions } from './remote/service-listener.js';
export { readServiceStorage } from './remote/service-storage.js';
export {
  type ServiceProcess,
  type ServiceProcessOptions,
  startServiceProcess,
} from './remote/service-process.js';
export { type JobNotifier, ServiceHost, type ServiceHostOptions } from './service-host.js';
