-- A batch with the state of each of its tasks.
--
-- @args   batch id
-- @return created, then for each item its error as JSON, or its task: id, state, and what it was when it is no longer kept
--@reads
--@include time tenant state task
local batch = PREFIX .. '@batch:' .. ARGV[2]
local created = redis.call('HGET', batch, 'created')
if not created then
  return false
end
local items = redis.call('LRANGE', batch .. ':items', 0, -1)
for at, item in ipairs(items) do
  if item:sub(1, 1) ~= '{' then
    local state = redis.call('HGET', LIVE, item) or redis.call('HGET', DONE, item) or ''
    local kept = state ~= '' or redis.call('EXISTS', PREFIX .. item) == 1
    items[at] = { item, state, not kept and (redis.call('HGET', batch .. ':gone', item) or '') }
  end
end
return { created, items }
