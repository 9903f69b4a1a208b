-- What workers of one kind run is a pool: each has a rotation of its own. Until all tenants were walked, it is being opened,
-- and whoever comes by walks too: the first one may have died.
--
-- <system>pools  id -> virtual time of its rotation · <system>opening  ids of those that are being opened
local function openPool(system, pool)
  if redis.call('HSETNX', system .. 'pools', pool, 0) == 1 then
    redis.call('SADD', system .. 'opening', pool)
  end
  return redis.call('SISMEMBER', system .. 'opening', pool)
end
