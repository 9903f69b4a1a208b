-- Everything that explains why a task is where it is.
--
-- @args   task id
-- @return the task, its position among the ready tasks, the task that holds its session, running tasks and limit of its
--         batch, paused, running, max_running
-- @reads
-- @include queue/oldest scripts/tenant tasks/task
local id = ARGV[2]
local task = load(id)
if not task then
  return false
end
local position = false
if task.state == 'ready' or task.state == 'woken' then
  local score = (9 - (task.queue_priority or task.header.priority)) * SEQUENCES + task.header.sequence
  position = redis.call('ZCOUNT', READY, '-inf', '(' .. string.format('%.0f', score))
  for _, group in ipairs(redis.call('SMEMBERS', PREFIX .. '@groups')) do
    position = position + redis.call('ZCOUNT', PREFIX .. '@aside:' .. group, '-inf', '(' .. string.format('%.0f', score))
  end
end
local session = task.header.session_id
local holder = session and redis.call('HGET', NAMESPACE .. ':session:{' .. TENANT .. '}:' .. session, 'holder')
local batch = task.header.batch_id and PREFIX .. '@batch:' .. task.header.batch_id
return {
  view(id), position, holder or false,
  batch and redis.call('SCARD', batch .. ':holders') or false, batch and redis.call('HGET', batch, 'max') or false,
  meta.paused or false, count('running'), meta.max_running or false,
}
