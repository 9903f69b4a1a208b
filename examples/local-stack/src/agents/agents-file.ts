import { readFile } from 'node:fs/promises';
import { OrchestratorError } from '@agent-orchestrator/core';
import { JsonRefusedError, parseJson, validate, listSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { type Agent, agentSchema } from './agent.js';

const fileSchema = z.object({ agents: listSchema(agentSchema, { min: 1, max: 1_000 }) });

/**
 * Reads `{"agents": [{"agent_id", "name", "instructions"?, "tools"?, "collection"?, "model"?,
 * "workflow"?}]}`.
 *
 * @throws {OrchestratorError} `invalid_request` for a missing or invalid file.
 */
export async function readAgentsFile(path: string): Promise<Agent[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new OrchestratorError('invalid_request', `agents file "${path}": it can't be read`, {
      cause: error,
    });
  }
  try {
    return validate(fileSchema, parseJson(text), `agents file "${path}"`).agents;
  } catch (error) {
    if (!(error instanceof JsonRefusedError)) throw error;
    throw new OrchestratorError('invalid_request', `agents file "${path}": ${error.reason}`, {
      cause: error,
    });
  }
}
