-- On a Cluster: nothing is kept of a tenant any more. The caller indexes a tenant that exists again afterwards.
--
-- @keys   system
-- @args   tenant
redis.call('ZREM', KEYS[1] .. 'tenants', ARGV[1])
redis.call('ZREM', KEYS[1] .. 'due', ARGV[1])
return redis.call('HDEL', KEYS[1] .. 'generations', ARGV[1])
