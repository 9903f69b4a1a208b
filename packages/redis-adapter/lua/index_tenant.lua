-- On a Cluster: a tenant that was not known, or one that has something due.
--
-- @keys   system
-- @args   tenant · when its next duty is due, or ''
if ARGV[2] == '' then
  return redis.call('ZADD', KEYS[1] .. 'tenants', 0, ARGV[1])
end
return redis.call('ZADD', KEYS[1] .. 'due', 'LT', ARGV[2], ARGV[1])
