import type { Admin, OverviewReport, ServiceReport } from '@agent-orchestrator/core/server';

/**
 * What the commands of operators use: `StorageAdmin` on a storage that processes share, `HttpAdmin` through a server. Both give
 * the same answers, and throw `OrchestratorError`s with the same codes.
 */
export interface OperatorPort extends Pick<
  Admin,
  | 'tenants'
  | 'tenant'
  | 'configure'
  | 'queue'
  | 'tasks'
  | 'task'
  | 'explain'
  | 'journal'
  | 'timeline'
  | 'redrive'
  | 'redriveAll'
  | 'discardAll'
  | 'workers'
  | 'usage'
  | 'invalidateCache'
  | 'systemEvents'
> {
  /** @throws {OrchestratorError} `invalid_request` straight from a storage: a server has them. */
  services(options: ServicesQuery): Promise<readonly ServiceReport[]>;
  /** A snapshot at once, then every two seconds until `signal` fires. */
  overviews(options: { readonly signal: AbortSignal }): AsyncIterable<OverviewReport>;
}

/** Which services, and whether they are asked if they answer. */
export interface ServicesQuery {
  readonly name?: string | undefined;
  readonly ping?: boolean;
}
