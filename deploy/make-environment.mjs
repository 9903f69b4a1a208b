// Prints new secrets for `compose.yaml`: node deploy/make-environment.mjs > .env
import { randomBytes } from 'node:crypto';

const secret = () => randomBytes(32).toString('base64url');
const SERVICES = [
  'CONVERSATION',
  'AGENT_MANAGEMENT',
  'AGENT_EXECUTION',
  'WORKFLOW_ENGINE',
  'TOOL_REGISTRY',
  'QUERY',
  'EMBEDDING',
  'INGESTION',
];
const apiKey = secret();

console.log(`# What clients send; the tenant is "demo".
ORCHESTRATOR_API_KEY=${apiKey}
ORCHESTRATOR_API_KEYS=${apiKey}=demo
# What operators send.
ORCHESTRATOR_OPERATOR_TOKEN=${secret()}
REDIS_PASSWORD=${secret()}`);
for (const name of SERVICES) console.log(`${name}_TOKEN=${secret()}`);
