-- A session with the first of its tasks that have not ended, at exactly a position of the log.
--
-- @args   id · how many tasks · bytes, which they may exceed only when there is but one
-- @return fields, tasks, seq, epoch, whether there are more tasks
--@reads
--@include time tenant epoch state task
local key, most, bytes = NAMESPACE .. ':session:{' .. TENANT .. '}:' .. ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local fields = redis.call('HGETALL', key)
if #fields == 0 then
  return false
end
local live, more = {}, false
for at, id in ipairs(redis.call('ZRANGE', key .. ':live', 0, most)) do
  local task = at <= most and view(id)
  bytes = bytes - (task and #task[2] + #task[3] or 0)
  if at > most or (#live > 0 and bytes < 0) then
    more = true
    break
  end
  live[#live + 1] = task or nil
end
return { fields, live, count('seq'), epochOfLog(), more }
