-- On a Cluster: end of a tenant's sweep. A due time that others have set meanwhile stays.
--
-- @keys   system
-- @args   tenant · due time of its next timer, or '' · its index during the sweep
local key = KEYS[1] .. 'due'
local untouched = redis.call('ZSCORE', key, ARGV[1]) == ARGV[3]
if ARGV[2] == '' then
  return untouched and redis.call('ZREM', key, ARGV[1]) or 0
end
return untouched and redis.call('ZADD', key, ARGV[2], ARGV[1]) or redis.call('ZADD', key, 'LT', ARGV[2], ARGV[1])
