-- Cancels every task of a batch that has not ended.
--
-- @args   {id, reason, grace}
-- @return whether there is such a batch
--@include time tenant state task trim waiting events due rotation system ready session lines steps held ending
local params = cjson.decode(ARGV[2])
local items = redis.call('LRANGE', PREFIX .. '@batch:' .. params.id .. ':items', 0, -1)
-- From the back: cancelling one lets the next in line in, and that one is to end without having started.
for at = #items, 1, -1 do
  local task = items[at]:sub(1, 1) ~= '{' and load(items[at])
  if task then
    cancelTask(task, params.reason, params.grace)
  end
end
return finish(redis.call('EXISTS', PREFIX .. '@batch:' .. params.id))
