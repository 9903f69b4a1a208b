-- Tenants with a due timer, and workers whose announcement has expired. Drops types and pools without an announcement for so
-- long that their tasks are refused.
--
-- @keys   system
-- @args   now · limit · lease of the sweep in ms; 0 where the sweep sets its index in its own step
-- @return tenants · their index meanwhile · lost workers
-- @include generated/rules scripts/time
local key = KEYS[1] .. 'due'
local tenants = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, ARGV[2])
local mark = now + ARGV[3]
if mark > now then
  for _, tenant in ipairs(tenants) do
    redis.call('ZADD', key, mark, tenant)
  end
end
local LOST_AT_ONCE = 100
local lost = redis.call('ZRANGEBYSCORE', KEYS[1] .. 'alive', '-inf', now, 'LIMIT', 0, LOST_AT_ONCE)
if #lost > 0 then
  redis.call('ZREM', KEYS[1] .. 'alive', unpack(lost))
  redis.call('HDEL', KEYS[1] .. 'workers', unpack(lost))
end

local MAX_EXPIRED = 100
local function old(index)
  return redis.call('ZRANGEBYSCORE', KEYS[1] .. index, '-inf', now - UNKNOWN_WORKFLOW_AFTER_MS - 1, 'LIMIT', 0, MAX_EXPIRED)
end
local types, pools = old('announced_at'), old('pools_at')
if #types > 0 then
  redis.call('HDEL', KEYS[1] .. 'announced', unpack(types))
  redis.call('ZREM', KEYS[1] .. 'announced_at', unpack(types))
end
for _, pool in ipairs(pools) do
  redis.call('HDEL', KEYS[1] .. 'pools', pool)
  redis.call('SREM', KEYS[1] .. 'opening', pool)
  redis.call('ZREM', KEYS[1] .. 'pools_at', pool)
  redis.call('UNLINK', KEYS[1] .. 'rotation:' .. pool, KEYS[1] .. 'idle:' .. pool)
end
return { tenants, mark, lost }
