/** Form of a URL of Redis. */
export const REDIS_URL_FORM =
  'redis://[user:password@]host[:port][/database], with several hosts for a Cluster, ' +
  'or redis+sentinel://host[:port][,…]/<name of the master>';

export const redisSettings = {
  name: 'redis',
  title: 'Redis',
  variable: 'ORCHESTRATOR_REDIS_URL',
  form: `${REDIS_URL_FORM}, or { nodes: ["host:port", …] }, or { sentinels: ["host:port", …], name }`,
  password: { name: 'redisPassword', variable: 'ORCHESTRATOR_REDIS_PASSWORD' },
} as const;
