-- On a Cluster: a tenant that was not known, or one that has something due. Also the latter may have left the list: it was
-- forgotten, and is there again.
--
-- @keys   system
-- @args   tenant · when its next timer is due, or ''
local isNew = redis.call('ZADD', KEYS[1] .. 'tenants', 0, ARGV[1])
if ARGV[2] == '' then
  return isNew
end
return redis.call('ZADD', KEYS[1] .. 'due', 'LT', ARGV[2], ARGV[1])
