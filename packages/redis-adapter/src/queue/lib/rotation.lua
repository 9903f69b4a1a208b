-- <system>pools: each set of types and versions that workers run -> the virtual time of its rotation
local function joinRotations(system, tenant)
  local joined = 0
  local pools = redis.call('HGETALL', system .. 'pools')
  for at = 1, #pools, 2 do
    joined = joined + redis.call('ZADD', system .. 'rotation:' .. pools[at], 'NX', pools[at + 1], tenant)
  end
  if joined > 0 or #pools == 0 then
    redis.call('PUBLISH', system:match('^(.*):system:') .. ':wakeups:ready@$database', 'ready')
  end
  return joined
end
