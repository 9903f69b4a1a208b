// The settings of `compose.yaml`, the same for the API and its workers. Tokens come from the environment.
const { env } = process;

const SERVICES = [
  'conversation',
  'agent_management',
  'agent_execution',
  'workflow_engine',
  'tool_registry',
  'query',
  'embedding',
  'ingestion',
];

/** `tool_registry` has the token TOOL_REGISTRY_TOKEN, and the address of its container unless TOOL_REGISTRY_URL is set. */
const own = (name, what) => env[`${name.toUpperCase()}_${what}`];

export default {
  services: Object.fromEntries(
    SERVICES.map((name) => [
      name,
      {
        url: own(name, 'URL') ?? `http://${name.replaceAll('_', '-')}:8100`,
        token: own(name, 'TOKEN'),
        // Services say three times as often that they work; one that is silent for so long is asked again.
        silenceMs: 15_000,
      },
    ]),
  ),
  serviceTokens: Object.fromEntries(SERVICES.map((name) => [name, own(name, 'TOKEN')])),
};
