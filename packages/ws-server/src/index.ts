export {
  type ClientIdentity,
  createIdentities,
  type Identities,
  type Identity,
  type IdentityList,
  type ListedIdentities,
  type OperatorIdentity,
  type ServiceCredential,
} from './auth/identities.js';
export { type Scope, SCOPES } from '@agent-orchestrator/core/protocol';
export { OrchestratorServer, type StopOptions } from './orchestrator-server.js';
export type { OrchestratorServerOptions } from './server-options.js';
export type { RateLimit, RateOptions } from './rates/rate-options.js';
export type {
  HandlesHttp,
  NeutralAnswer,
  NeutralBody,
  NeutralHandler,
  NeutralRequest,
} from './http/neutral-request.js';
export type { MountOptions } from './http/mount-prefix.js';
export { type NodeHandler, toNodeHandler } from './http/node-adapter.js';
export { toFetchHandler } from './http/fetch-adapter.js';
export type { Problem } from './http/problem.js';
export type { Route } from './http/route.js';
export { ROUTES } from './http/routes/route-table.js';
export { CLOSE } from './sockets/close-codes.js';
