-- What workers of one kind run is a pool: each has a rotation of its own. Until all tenants were walked, it is being opened,
-- and any process that opens it walks too: the first one may have died. A pool that is not opened again in time is dropped.
--
-- <system>pools  id -> virtual time of its rotation · <system>opening  ids of those that are being opened
-- <system>pools_at  ids by when they were opened last
local function openPool(system, pool, now)
  if redis.call('HSETNX', system .. 'pools', pool, 0) == 1 then
    redis.call('SADD', system .. 'opening', pool)
  end
  redis.call('ZADD', system .. 'pools_at', now, pool)
  return redis.call('SISMEMBER', system .. 'opening', pool)
end
