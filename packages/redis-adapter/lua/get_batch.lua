-- A stretch of a batch with the state of each of its tasks. What ended with which outcome is said from one item on, until
-- that is too much.
--
-- @args   batch id · first item · how many · from which item on with outcomes · whether with results · bytes of outcomes
-- @return nothing, or `creating`, or: created · how many items there are · for each of the stretch its error as JSON, or its
--         task: id, state (with an outcome if asked for), and what it was when it is no longer kept · the item whose outcome
--         was too much, if one was
--@reads
--@include time tenant state task
local batch = PREFIX .. '@batch:' .. ARGV[2]
local first, most, from, results, bytes = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1', tonumber(ARGV[7])
local created, total = unpack(redis.call('HMGET', batch, 'created', 'total'))
if total or not created then
  return total and 'creating'
end
local tooMuch = false

-- The state, and its outcome where that is asked for.
local function shown(id, at)
  local state = redis.call('HGET', LIVE, id) or redis.call('HGET', DONE, id) or ''
  local line = state:match('^[^\n]*')
  if #line == #state or at < from or tooMuch or (not results and stateOf(line).state == 'completed') then
    return line
  end
  bytes = bytes - (state:sub(-2) == '\n@' and redis.call('STRLEN', PREFIX .. id .. ':result') or #state)
  if bytes < 0 and at > from then
    tooMuch = at
    return line
  end
  return withOutcome(PREFIX .. id, state)
end

local items = redis.call('LRANGE', batch .. ':items', first, first + most - 1)
for sequence, item in ipairs(items) do
  if item:sub(1, 1) ~= '{' then
    local state = shown(item, first + sequence - 1)
    local kept = state ~= '' or redis.call('EXISTS', PREFIX .. item) == 1
    items[sequence] = { item, state, not kept and (redis.call('HGET', batch .. ':gone', item) or '') }
  end
end
return { created, redis.call('LLEN', batch .. ':items'), items, tooMuch }
