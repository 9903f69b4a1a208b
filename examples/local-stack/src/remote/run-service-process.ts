import { OrchestratorError } from '@agent-orchestrator/core';
import { type DefinitionOptions, serviceDefinitions } from '../local-stack.js';
import { startServiceProcess } from './service-process.js';
import { onceFree, readServiceStorage } from './service-storage.js';

const USAGE_EXIT = 78;

/**
 * Implements `bin/service.mjs <name>`, configured by the environment: `ORCHESTRATOR_URL` and `SERVICE_TOKEN`
 * (required), `SERVICE_HOST`, `SERVICE_PORT`, `SERVICE_STORAGE` (default `memory:`), `SERVICE_ALIVE_MS`,
 * `SERVICE_AGENTS_FILE`, and `ORCHESTRATOR_LLM_URL`, `_MODEL` and `_KEY`. A line of JSON on stdout has the
 * address. SIGTERM, SIGINT and the end of stdin (the parent has exited) stop it.
 */
export async function runServiceProcess(): Promise<void> {
  try {
    const { env } = process;
    const definition = definitionNamed(process.argv[2], definitionOptions(env));
    const openStore = readServiceStorage(env['SERVICE_STORAGE'] ?? 'memory:', 'SERVICE_STORAGE');
    const service = await startServiceProcess({
      definition,
      orchestratorUrl: needed(env, 'ORCHESTRATOR_URL'),
      token: needed(env, 'SERVICE_TOKEN'),
      ...(env['SERVICE_HOST'] !== undefined && { host: env['SERVICE_HOST'] }),
      ...(env['SERVICE_PORT'] !== undefined && { port: numberIn(env, 'SERVICE_PORT', 65_535) }),
      ...(env['SERVICE_ALIVE_MS'] !== undefined && { aliveMs: numberIn(env, 'SERVICE_ALIVE_MS', 3_600_000) }),
      ...(openStore && { openStore: onceFree(openStore) }),
    });
    console.log(JSON.stringify({ service: definition.name, url: service.url }));
    const end = () => void service.stop().then(() => process.exit(0));
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, end);
    process.stdin.once('end', end).resume();
  } catch (error) {
    console.error(error instanceof OrchestratorError ? error.message : error);
    process.exitCode = USAGE_EXIT;
  }
}

function definitionOptions(env: NodeJS.ProcessEnv): DefinitionOptions {
  const { ORCHESTRATOR_LLM_URL: url, ORCHESTRATOR_LLM_MODEL: model, ORCHESTRATOR_LLM_KEY: key } = env;
  const { SERVICE_AGENTS_FILE: agentsFile } = env;
  return {
    ...(url !== undefined &&
      model !== undefined && { llm: { url, model, ...(key !== undefined && { key }) } }),
    ...(agentsFile !== undefined && { agentsFile }),
  };
}

function definitionNamed(name: string | undefined, options: DefinitionOptions) {
  const definitions = serviceDefinitions(options);
  const definition = definitions.find((candidate) => candidate.name === name);
  if (definition) return definition;
  const known = definitions.map((candidate) => candidate.name).join(', ');
  throw new OrchestratorError('invalid_request', `service: expected one of ${known}, got "${name ?? ''}"`);
}

function needed(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (value) return value;
  throw new OrchestratorError('invalid_request', `${name}: expected a value in the environment, got nothing`);
}

function numberIn(env: NodeJS.ProcessEnv, name: string, most: number): number {
  const value = Number(env[name]);
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw new OrchestratorError('invalid_request', `${name}: expected 0 to ${most}, got "${env[name]}"`);
}
