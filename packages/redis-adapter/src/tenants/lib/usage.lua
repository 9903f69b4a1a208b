-- <prefix>:usage:{<tenant>}:<day>  "model, operation, counter" -> number; the day counts from 1970-01-01
-- @include generated/rules scripts/tenant scripts/time
local DAY = 24 * 60 * 60 * 1000
local COUNTERS = 3

-- A number as text that reads as the same number.
local function exact(number)
  return string.format('%.17g', number)
end

local function addUsage(model, operation, tokens, saved)
  local key = NAMESPACE .. ':usage:{' .. TENANT .. '}:' .. math.floor(now / DAY)
  local row = model .. '\n' .. operation .. '\n'
  local before = redis.call('HMGET', key, row .. 'tokens', row .. 'saved')
  if not before[1] and redis.call('HLEN', key) >= COUNTERS * (MAX_USAGE_ROWS - 1) then
    row = 'other\nother\n'
    before = redis.call('HMGET', key, row .. 'tokens', row .. 'saved')
  end
  redis.call('HINCRBY', key, row .. 'requests', 1)
  redis.call('HSET', key, row .. 'tokens', exact((tonumber(before[1]) or 0) + tokens),
    row .. 'saved', exact((tonumber(before[2]) or 0) + saved))
  if not before[1] then
    redis.call('PEXPIRE', key, USAGE_RETENTION_MS + DAY)
  end
end
