-- <prefix>:usage:{<tenant>}  "day, model, operation, counter" -> number; the day counts from 1970-01-01
local DAY = 24 * 60 * 60 * 1000

-- A number as text that reads as the same number.
local function exact(number)
  return string.format('%.17g', number)
end

local function addUsage(model, operation, tokens, saved)
  local key = NAMESPACE .. ':usage:{' .. TENANT .. '}'
  local row = math.floor(now / DAY) .. '\n' .. model .. '\n' .. operation .. '\n'
  local before = redis.call('HMGET', key, row .. 'tokens', row .. 'saved')
  redis.call('HINCRBY', key, row .. 'requests', 1)
  redis.call('HSET', key, row .. 'tokens', exact((tonumber(before[1]) or 0) + tokens),
    row .. 'saved', exact((tonumber(before[2]) or 0) + saved))
end
