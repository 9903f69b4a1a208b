-- What there is to know about why a task is where it is.
--
-- @args   task id
-- @return the task, its sequence among the ready ones, the task that holds up its session, how many of its batch run and
--         may run, paused, running, max_running
--@reads
--@include time tenant state task oldest
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
local holders = session and redis.call('HGET', NAMESPACE .. ':session:{' .. TENANT .. '}:' .. session, 'holders')
local batch = task.header.batch_id and PREFIX .. '@batch:' .. task.header.batch_id
return {
  view(id), position, holders or false,
  batch and redis.call('SCARD', batch .. ':holders') or false, batch and redis.call('HGET', batch, 'max') or false,
  meta.paused or false, count('running'), meta.max_running or false,
}
