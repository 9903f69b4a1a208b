-- A worker's heartbeat.
--
-- <system>workers  id -> {runs, seenAt} · <system>announced  type -> when · <system>pools  see system
-- @keys   system
-- @args   now · worker · what it runs, as JSON · its pool · types
-- @return whether all tenants are to be walked · whether it is new · workers that are gone
--@include time pools
local GONE_AFTER = 5 * 60 * 1000
local system = KEYS[1]
local joined = redis.call('HSET', system .. 'workers', ARGV[2], '{"runs":' .. ARGV[3] .. ',"seenAt":' .. now .. '}')
for at = 5, #ARGV do
  redis.call('HSET', system .. 'announced', ARGV[at], now)
end
local workers, gone = redis.call('HGETALL', system .. 'workers'), {}
for at = 1, #workers, 2 do
  local seen = tonumber(workers[at + 1]:match('"seenAt":(%d+)}$'))
  if seen + GONE_AFTER < now then
    gone[#gone + 1] = workers[at]
    redis.call('HDEL', system .. 'workers', workers[at])
  end
end
return { openPool(system, ARGV[4]), joined, gone }
