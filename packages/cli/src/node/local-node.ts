import { type Logger, Orchestrator, OrchestratorError, type Storage } from '@agent-orchestrator/core';
import { OrchestratorServer } from '@agent-orchestrator/ws-server';
import { ConfigurationError } from '../errors/errors.js';
import type { Settings } from '../settings/settings.js';
import { isShared } from '../storage/storage-kind.js';
import type { Credentials } from './credentials.js';
import { type RunningStack, startLocalServices } from './local-services.js';
import { logRuns } from './log-runs.js';
import { SPLIT_SILENCE_MS, SplitStack, type SplitStackOptions } from './split-stack.js';

/** An orchestrator with its server in this process, with or without the local stack. */
export interface LocalNode {
  readonly url: string;
  readonly orchestrator: Orchestrator;
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}

export interface NodeOptions {
  readonly settings: Settings;
  /** Absent for a worker, which has no clients. */
  readonly credentials?: Credentials;
  readonly role?: Settings['role'];
  /** Closed at the end. */
  readonly storage: Storage;
  /** Local stack in this process. */
  readonly withLocalStack: boolean;
  /** Local stack in processes of its own. */
  readonly split?: Omit<SplitStackOptions, 'orchestratorUrl' | 'environment' | 'storageOf'>;
  /** Folder that paths are relative to. */
  readonly cwd: string;
  /** Ends the wait for the state of the local stack. */
  readonly signal?: AbortSignal;
  readonly logger: Logger;
}

/** Starts the parts of `dev` and `serve`. A failure stops those already started. */
export async function startNode(options: NodeOptions): Promise<LocalNode> {
  const { settings, storage, withLocalStack, split } = options;
  const orchestrator = createOrchestrator(options);
  const endLog = logRuns(orchestrator, options.logger);
  let stack: RunningStack | undefined;
  const server = createServer(orchestrator, options);
  const stop = async ({ graceMs = 10_000 }: { readonly graceMs?: number } = {}) => {
    await endAll([
      () => stack?.stop(),
      () => server.stop({ graceMs }),
      // A server that failed to start leaves the orchestrator possibly half started.
      () => orchestrator.stop({ graceMs: 0 }),
      async () => endLog(),
      () => storage.close(),
    ]);
  };
  try {
    if (withLocalStack) stack = await startLocalServices(orchestrator, options);
    // After the local stack, so that a configured service replaces its service of the same name.
    for (const [name, service] of Object.entries(settings.services)) orchestrator.service(name, service);
    for (const [tenantId, patch] of Object.entries(settings.tenants))
      await orchestrator.admin.configure(tenantId, patch);
    await server.listen(settings.port, settings.host);
    if (split)
      stack = await startSplitStack(orchestrator, settings, {
        ...split,
        orchestratorUrl: server.url,
        storageOf: (service) => settings.storage.serviceStorage(service, options.cwd),
      });
  } catch (error) {
    await stop({ graceMs: 0 });
    if (!(error instanceof OrchestratorError) || error.code !== 'not_running') throw error;
    throw new ConfigurationError(`${error.message} (settings: --port and --host)`, { cause: error });
  }
  return { url: server.url, orchestrator, stop };
}

/** Ends each part, also after the failure of one before. @throws the first failure. */
async function endAll(ends: readonly (() => Promise<void> | undefined)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const end of ends) {
    try {
      await end();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** Prefetched tasks of a worker with a shared storage, which is remote; reduced for long tasks. */
const PREFETCH = 100;

function createOrchestrator({ settings, role = 'all', storage, logger }: NodeOptions): Orchestrator {
  const { concurrency } = settings;
  const orchestrator = new Orchestrator({
    logger,
    role,
    storage,
    prices: settings.prices,
    ...(isShared(settings.storage) && { prefetch: PREFETCH }),
    ...(concurrency !== undefined && { concurrency }),
  });
  for (const [type, one] of Object.entries(settings.workflows)) {
    if (typeof one === 'function') orchestrator.workflow(type, one);
    else orchestrator.workflow(one);
  }
  return orchestrator;
}

/** A worker only serves health and metrics. */
function createServer(orchestrator: Orchestrator, { settings, credentials, role, logger }: NodeOptions) {
  return new OrchestratorServer(orchestrator, {
    ...(credentials && { identities: credentials.identities }),
    allowedOrigins: settings.allowedOrigins,
    rates: settings.rates,
    trustedProxies: settings.trustedProxies,
    serves: role === 'worker' ? 'health' : 'everything',
    logger,
  });
}

async function startSplitStack(
  orchestrator: Orchestrator,
  { llm, agentsFile }: Settings,
  options: Omit<SplitStackOptions, 'environment'>,
): Promise<SplitStack> {
  const environment = {
    ...(llm && { ORCHESTRATOR_LLM_URL: llm.url, ORCHESTRATOR_LLM_MODEL: llm.model }),
    ...(llm?.key !== undefined && { ORCHESTRATOR_LLM_KEY: llm.key }),
    ...(agentsFile !== undefined && { SERVICE_AGENTS_FILE: agentsFile }),
  };
  const stack = await SplitStack.start({ ...options, environment });
  for (const [name, url] of Object.entries(stack.urls)) {
    const token = options.tokens[name];
    orchestrator.service(name, { url, silenceMs: SPLIT_SILENCE_MS, ...(token !== undefined && { token }) });
  }
  return stack;
}
