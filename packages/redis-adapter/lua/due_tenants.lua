-- Tenants that have something due.
--
-- @keys   system
-- @args   now · how many · for how long others leave them alone, 0 where a sweep sets its index in its own step
-- @return tenants · what their index says meanwhile
--@include time
local key = KEYS[1] .. 'due'
local tenants = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, ARGV[2])
local mark = now + ARGV[3]
if mark > now then
  for _, tenant in ipairs(tenants) do
    redis.call('ZADD', key, mark, tenant)
  end
end
return { tenants, mark }
