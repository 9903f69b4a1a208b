import type { WorkflowCatalog } from './catalog.js';
import { conversation } from './flows/conversation.js';
import { singleCall } from './flows/single-call.js';
import { workflowTask } from './flows/workflow-task.js';

/** Registers the built-in workflows. A host replaces any of them by registering the same type. */
export function addBuiltInWorkflows(
  catalog: WorkflowCatalog,
  services: { has(name: string): boolean },
): void {
  catalog.add('agent_execution', {}, conversation(services));
  catalog.add('workflow', {}, workflowTask(services));
  catalog.add('ingestion', {}, singleCall('ingestion', 'ingest_document'));
  catalog.add('query', {}, singleCall('query', 'query'));
  catalog.add('embedding', {}, singleCall('embedding', 'embed'));
}
