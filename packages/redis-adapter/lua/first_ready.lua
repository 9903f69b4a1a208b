-- The tasks of a tenant that are first in line, the most urgent first: of @ready, and of what was set aside for other workers.
--
-- @args   how many · bytes, which they may exceed only when there is but one
-- @return tasks
--@reads
--@include time tenant state task
local most, bytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local lines = { READY }
for _, group in ipairs(redis.call('SMEMBERS', PREFIX .. '@groups')) do
  lines[#lines + 1] = PREFIX .. '@aside:' .. group
end
local first = {}
for _, line in ipairs(lines) do
  local found = redis.call('ZRANGE', line, 0, most - 1, 'WITHSCORES')
  for at = 1, #found, 2 do
    first[#first + 1] = { id = found[at], score = tonumber(found[at + 1]) }
  end
end
table.sort(first, function(a, b) return a.score < b.score end)
local queuedTasks = {}
for at = 1, math.min(most, #first) do
  local task = view(first[at].id)
  bytes = bytes - (task and #task[2] or 0)
  if #queuedTasks > 0 and bytes < 0 then
    break
  end
  queuedTasks[#queuedTasks + 1] = task or nil
end
return queuedTasks
