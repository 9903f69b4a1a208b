-- Tenants that have something due, and workers that were not announced again in time.
--
-- @keys   system
-- @args   now · how many · for how long others leave them alone, 0 where a sweep sets its index in its own step
-- @return tenants · what their index says meanwhile · workers that are lost
--@include time
local key = KEYS[1] .. 'due'
local tenants = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, ARGV[2])
local mark = now + ARGV[3]
if mark > now then
  for _, tenant in ipairs(tenants) do
    redis.call('ZADD', key, mark, tenant)
  end
end
local MOST_LOST = 100
local lost = redis.call('ZRANGEBYSCORE', KEYS[1] .. 'alive', '-inf', now, 'LIMIT', 0, MOST_LOST)
if #lost > 0 then
  redis.call('ZREM', KEYS[1] .. 'alive', unpack(lost))
  redis.call('HDEL', KEYS[1] .. 'workers', unpack(lost))
end
return { tenants, mark, lost }
