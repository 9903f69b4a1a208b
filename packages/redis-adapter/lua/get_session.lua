-- A session with the tasks of it that have not ended, at exactly a position of the log.
--
-- @args   id
-- @return fields, tasks, seq
--@reads
--@include time tenant epoch state task
local key = NAMESPACE .. ':session:{' .. TENANT .. '}:' .. ARGV[2]
local fields = redis.call('HGETALL', key)
if #fields == 0 then
  return false
end
local live = {}
for _, id in ipairs(redis.call('ZRANGE', key .. ':live', 0, -1)) do
  live[#live + 1] = view(id) or nil
end
return { fields, live, count('seq'), epochOfLog() }
