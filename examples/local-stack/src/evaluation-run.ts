import { join } from 'node:path';
import { type JsonObject, Orchestrator, OrchestratorError } from '@agent-orchestrator/core';
import { type Ask, readDocuments, readQuestions, runEvaluation } from './evaluation.js';
import { addLocalStack } from './orchestrated-stack.js';

const TENANT = 'evaluation';

/**
 * Runs the evaluation on an orchestrator in this process: ingests the documents, asks the questions.
 *
 * @param root folder that the names of the documents are relative to.
 * @returns exit code: 0 if the required scores are reached, else 1.
 */
export async function runLocalEvaluation(root: string, questionsFile: string): Promise<0 | 1> {
  const orchestrator = new Orchestrator();
  const stack = addLocalStack(orchestrator);
  await orchestrator.start();
  try {
    const questions = await readQuestions(questionsFile);
    for (const document of await readDocuments(root, questions)) {
      await resultOf(orchestrator, { type: 'ingestion', payload: document });
    }
    const ask = async (message: string) =>
      resultOf(orchestrator, { type: 'agent_execution', payload: { message } });
    return await runEvaluation(questions, ask as unknown as Ask);
  } finally {
    await stack.stop();
    await orchestrator.stop();
  }
}

/** `eval/questions.json` of this package, on the documents of this repository. */
export function evaluateThisProject(): Promise<0 | 1> {
  const packageRoot = join(import.meta.dirname, '..');
  return runLocalEvaluation(join(packageRoot, '..', '..'), join(packageRoot, 'eval', 'questions.json'));
}

async function resultOf(orchestrator: Orchestrator, submission: { type: string; payload: JsonObject }) {
  const { tasks } = orchestrator.tenant(TENANT);
  const { task_id } = await tasks.submit(submission);
  const { status, result, error } = await tasks.wait(task_id, { timeoutMs: 60_000 });
  if (status === 'completed') return result;
  throw new OrchestratorError(error?.code ?? 'timeout', error?.message ?? `the task is ${status}`);
}
