-- Removes a dead letter, with its journal. Its events stay.
--
-- @args   id
-- @return answer
-- @include scripts/system scripts/tenant tasks/removal tasks/task
local task = load(ARGV[2])
if not task then
  return finish('not_found')
end
if task.state ~= 'failed' then
  return finish('not_failed')
end
-- Scheduled when it failed.
redis.call('ZREM', DUE, 'retention\n' .. task.id)
removal.remove(task)
return finish('discarded')
