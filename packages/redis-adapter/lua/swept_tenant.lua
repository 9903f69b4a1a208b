-- On a Cluster: a sweep of a tenant is over. What others have scheduled meanwhile stays.
--
-- @keys   system
-- @args   tenant · when its next timer is due, or '' · what its index said meanwhile
local key = KEYS[1] .. 'due'
local untouched = redis.call('ZSCORE', key, ARGV[1]) == ARGV[3]
if ARGV[2] == '' then
  return untouched and redis.call('ZREM', key, ARGV[1]) or 0
end
return untouched and redis.call('ZADD', key, ARGV[2], ARGV[1]) or redis.call('ZADD', key, 'LT', ARGV[2], ARGV[1])
