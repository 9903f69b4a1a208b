-- A session with the first of its live tasks, at an exact position of the log.
--
-- @args   id · limit of tasks · bytes; a single task may exceed them
-- @return fields, tasks, seq, epoch, whether there are more tasks
-- @reads
-- @include events/epoch scripts/tenant tasks/task
local key, max, bytes = NAMESPACE .. ':session:{' .. TENANT .. '}:' .. ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local fields = redis.call('HGETALL', key)
if #fields == 0 then
  return false
end
local live, more = {}, false
for at, id in ipairs(redis.call('ZRANGE', key .. ':live', 0, max)) do
  local task = at <= max and view(id)
  bytes = bytes - (task and #task[2] + #task[3] or 0)
  if at > max or (#live > 0 and bytes < 0) then
    more = true
    break
  end
  live[#live + 1] = task or nil
end
return { fields, live, count('seq'), epochOfLog(), more }
