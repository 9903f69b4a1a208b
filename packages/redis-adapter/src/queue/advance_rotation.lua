-- On a Cluster: charges the tenants scanned by a claim, and reads the next ones of the rotation.
--
-- @keys   system
-- @args   pool · number of tenants wanted · for each scanned tenant: id, tasks / weight, its generation if it was drained,
--         else ''
-- @return tenants in rotation order; nothing for a pool that is not open
local system, rotation = KEYS[1], KEYS[1] .. 'rotation:' .. ARGV[1]
if redis.call('HEXISTS', system .. 'pools', ARGV[1]) == 0 then
  return false
end
local latest
for at = 3, #ARGV, 3 do
  local tenant, used, generation = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2]
  if generation ~= '' and generation == (redis.call('HGET', system .. 'generations', tenant) or '') then
    redis.call('ZREM', rotation, tenant)
  else
    local score = redis.call('ZSCORE', rotation, tenant)
    if score then
      latest = math.max(latest or 0, tonumber(score))
      redis.call('ZINCRBY', rotation, used, tenant)
    end
  end
end
if latest then
  redis.call('HSET', system .. 'pools', ARGV[1], latest)
end
return redis.call('ZRANGE', rotation, 0, ARGV[2] - 1)
