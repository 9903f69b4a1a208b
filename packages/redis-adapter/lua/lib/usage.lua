-- <prefix>:usage:{<tenant>}  "day, model, operation, counter" -> number; the day counts from 1970-01-01
local DAY = 24 * 60 * 60 * 1000

local function addUsage(model, operation, tokens, saved)
  local key = NAMESPACE .. ':usage:{' .. TENANT .. '}'
  local row = math.floor(now / DAY) .. '\n' .. model .. '\n' .. operation .. '\n'
  redis.call('HINCRBY', key, row .. 'tokens', tokens)
  redis.call('HINCRBY', key, row .. 'requests', 1)
  redis.call('HINCRBY', key, row .. 'saved', saved)
end
