-- On a Cluster: a tenant became ready. A newer generation is never removed by a claim that saw an older one drained.
--
-- @keys   system
-- @args   tenant · its generation
-- @include queue/rotation
local system, generation = KEYS[1], tonumber(ARGV[2])
local known = tonumber(redis.call('HGET', system .. 'generations', ARGV[1])) or 0
if generation < known then
  return 0
end
redis.call('HSET', system .. 'generations', ARGV[1], generation)
return joinRotations(system, ARGV[1])
