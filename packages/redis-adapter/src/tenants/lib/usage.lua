-- <prefix>:usage:{<tenant>}:<day>  "model, operation, counter" -> number; the day counts from 1970-01-01. Also `rows`, and
--   the sums of all rows: `tokens` and `cost`
-- <prefix>:usage:{<tenant>}:<day>:by  model, operation, session, task, agent and user, each in a line -> the counters in order
-- @include generated/rules scripts/tenant scripts/time
local DAY = 24 * 60 * 60 * 1000

-- A number as text that reads as the same number.
local function exact(number)
  return string.format('%.17g', number)
end

local function usageKey(day)
  return NAMESPACE .. ':usage:{' .. TENANT .. '}:' .. day
end

-- Tokens and cost of a day. Those that an older version has written have rows only.
local function sumsOf(key)
  local sums = hmget(key, 'tokens', 'cost')
  if sums.tokens or redis.call('EXISTS', key) == 0 then
    return tonumber(sums.tokens) or 0, tonumber(sums.cost) or 0
  end
  local tokens, flat = 0, redis.call('HGETALL', key)
  for at = 1, #flat, 2 do
    tokens = tokens + (flat[at]:find('\ntokens$') and tonumber(flat[at + 1]) or 0)
  end
  redis.call('HSET', key, 'tokens', exact(tokens))
  return tokens, 0
end

local addUsage
do
  local OLD_COUNTERS = 3

  -- Adds to counters of a hash, which may be fractions.
  local function addCounters(key, prefix, amounts)
    local fields = {}
    for counter, amount in pairs(amounts) do
      if amount and amount ~= 0 then
        fields[#fields + 1] = prefix .. counter
      end
    end
    if #fields == 0 then
      return
    end
    local flat, before = {}, redis.call('HMGET', key, unpack(fields))
    for at, field in ipairs(fields) do
      flat[#flat + 1] = field
      flat[#flat + 1] = exact((tonumber(before[at]) or 0) + amounts[field:sub(#prefix + 1)])
    end
    redis.call('HSET', key, unpack(flat))
  end

  local function addSummary(key, model, operation, amounts)
    local row = model .. '\n' .. operation .. '\n'
    if redis.call('HEXISTS', key, row .. 'tokens') == 0 then
      local rows = tonumber(redis.call('HGET', key, 'rows')) or math.floor(redis.call('HLEN', key) / OLD_COUNTERS)
      if rows >= MAX_USAGE_ROWS - 1 then
        row = 'other\nother\n'
      end
      if redis.call('HEXISTS', key, row .. 'tokens') == 0 then
        redis.call('HSET', key, 'rows', rows + 1, row .. 'tokens', 0, row .. 'saved', 0)
      end
    end
    sumsOf(key)
    addCounters(key, row, amounts)
    addCounters(key, '', { tokens = amounts.tokens, cost = amounts.cost })
    redis.call('PEXPIRE', key, USAGE_RETENTION_MS + DAY)
    return row:match('^([^\n]*)\n([^\n]*)')
  end

  -- Counters in the order of a detail's text.
  local COUNTERS = { 'tokens', 'requests', 'saved', 'prompt', 'completion', 'cached', 'cost' }

  local function detailOf(model, operation, origin)
    return table.concat({ model, operation, origin.session, origin.task, origin.agent, origin.user }, '\n')
  end

  local function addDetail(key, model, operation, origin, amounts)
    local field = detailOf(model, operation, origin)
    local before = redis.call('HGET', key, field)
    if not before and redis.call('HLEN', key) >= MAX_USAGE_DETAILS then
      field = detailOf(model, operation, { session = 'other', task = 'other', agent = 'other', user = 'other' })
      before = redis.call('HGET', key, field)
    end
    local counters, read = {}, before and before:gmatch('%S+')
    for at, counter in ipairs(COUNTERS) do
      counters[at] = exact((read and tonumber(read()) or 0) + (amounts[counter] or 0))
    end
    redis.call('HSET', key, field, table.concat(counters, ' '))
    redis.call('PEXPIRE', key, USAGE_DETAIL_RETENTION_MS + DAY)
  end

  -- `usage`: {model, tokens, saved?, prompt?, completion?, cached?, cost?}. `origin`: {session, task, agent, user}, '' for none.
  function addUsage(operation, usage, origin)
    local key = usageKey(math.floor(now / DAY))
    local amounts = {
      tokens = usage.tokens, requests = 1, saved = usage.saved, prompt = usage.prompt, completion = usage.completion,
      cached = usage.cached, cost = usage.cost,
    }
    local model, named = addSummary(key, usage.model, operation, amounts)
    addDetail(key .. ':by', model, named, origin, amounts)
  end
end
