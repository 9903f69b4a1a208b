-- A pool is a set of types and versions that workers run: each has a rotation of its own. A new pool is being opened until a
-- process has reconciled all tenants; any process that opens it does so too, since the first one may have died. A pool that
-- is not opened again in time is dropped.
--
-- <system>pools  id -> virtual time of its rotation · <system>opening  ids of pools being opened
-- <system>pools_at  ids by the time of their last opening
local function openPool(system, pool, now)
  if redis.call('HSETNX', system .. 'pools', pool, 0) == 1 then
    redis.call('SADD', system .. 'opening', pool)
  end
  redis.call('ZADD', system .. 'pools_at', now, pool)
  return redis.call('SISMEMBER', system .. 'opening', pool)
end
