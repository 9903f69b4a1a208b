-- On a Cluster: indexes a new tenant, or one with a timer. The latter may have left the list too, if it was forgotten and
-- exists again.
--
-- @keys   system
-- @args   tenant · due time of its next timer, or ''
local isNew = redis.call('ZADD', KEYS[1] .. 'tenants', 0, ARGV[1])
if ARGV[2] == '' then
  return isNew
end
return redis.call('ZADD', KEYS[1] .. 'due', 'LT', ARGV[2], ARGV[1])
