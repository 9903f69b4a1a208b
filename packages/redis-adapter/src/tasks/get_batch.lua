-- A page of a batch with the state of each of its tasks. Outcomes are included from one item on, up to a limit of bytes.
--
-- @args   batch id · first item · limit · first item with outcomes · whether with results · bytes of outcomes
-- @return nothing, or `creating`, or: created · number of items · for each item of the page its error as JSON, or its task:
--         id, state (with an outcome if requested), and its last state when it is no longer kept · the item whose outcome
--         exceeded the limit, if any
-- @reads
-- @include scripts/tenant tasks/state
local batch = PREFIX .. '@batch:' .. ARGV[2]
local first, max, from, results, bytes = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1', tonumber(ARGV[7])
local stored = hmget(batch, 'created', 'total')
if stored.total or not stored.created then
  return stored.total and 'creating'
end
local tooMuch = false

-- The state, with its outcome where requested.
local function stateWithOutcome(id, at)
  local state = redis.call('HGET', LIVE, id) or redis.call('HGET', DONE, id) or ''
  local text = state:match('^[^\n]*')
  if #text == #state or at < from or tooMuch or (not results and stateOf(text).state == 'completed') then
    return text
  end
  bytes = bytes - (state:sub(-2) == '\n@' and redis.call('STRLEN', PREFIX .. id .. ':result') or #state)
  if bytes < 0 and at > from then
    tooMuch = at
    return text
  end
  return withOutcome(PREFIX .. id, state)
end

local items = redis.call('LRANGE', batch .. ':items', first, first + max - 1)
for sequence, item in ipairs(items) do
  if item:sub(1, 1) ~= '{' then
    local state = stateWithOutcome(item, first + sequence - 1)
    local kept = state ~= '' or redis.call('EXISTS', PREFIX .. item) == 1
    items[sequence] = { item, state, not kept and (redis.call('HGET', batch .. ':gone', item) or '') }
  end
end
return { stored.created, redis.call('LLEN', batch .. ':items'), items, tooMuch }
