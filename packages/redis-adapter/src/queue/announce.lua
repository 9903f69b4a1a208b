-- A worker's heartbeat.
--
-- <system>workers  id -> {runs, seenAt, aliveUntil} · <system>alive  ids by the time they count as dead unless announced
--                  again
-- <system>announced  type -> time, and its defaults as JSON, if any · <system>announced_at  types by time · <system>pools
--                    see pools
-- @keys   system
-- @args   now · worker · what it runs, as JSON · its pool · liveness in ms · type, its defaults or '', type …
-- @return whether the caller has to reconcile all tenants · whether the worker is new
-- @include queue/pools scripts/time
local system, worker, till = KEYS[1], ARGV[2], now + ARGV[5]
local entry = string.format('{"runs":%s,"seenAt":%d,"aliveUntil":%d}', ARGV[3], now, till)
local joined = redis.call('HSET', system .. 'workers', worker, entry)
redis.call('ZADD', system .. 'alive', till, worker)
for at = 6, #ARGV, 2 do
  redis.call('HSET', system .. 'announced', ARGV[at], now .. (ARGV[at + 1] == '' and '' or ' ' .. ARGV[at + 1]))
  redis.call('ZADD', system .. 'announced_at', now, ARGV[at])
end
return { openPool(system, ARGV[4], now), joined }
