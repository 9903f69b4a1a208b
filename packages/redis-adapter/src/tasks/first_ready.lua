-- The first ready tasks of a tenant, the most urgent first: of @ready, and of those set aside for other workers.
--
-- @args   limit · bytes; a single task may exceed them
-- @return tasks
-- @reads
-- @include scripts/tenant tasks/task
local max, bytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local queues = { READY }
for _, group in ipairs(redis.call('SMEMBERS', PREFIX .. '@groups')) do
  queues[#queues + 1] = PREFIX .. '@aside:' .. group
end
local first = {}
for _, queue in ipairs(queues) do
  local found = redis.call('ZRANGE', queue, 0, max - 1, 'WITHSCORES')
  for at = 1, #found, 2 do
    first[#first + 1] = { id = found[at], score = tonumber(found[at + 1]) }
  end
end
table.sort(first, function(a, b) return a.score < b.score end)
local queuedTasks = {}
for at = 1, math.min(max, #first) do
  local task = view(first[at].id)
  bytes = bytes - (task and #task[2] or 0)
  if #queuedTasks > 0 and bytes < 0 then
    break
  end
  queuedTasks[#queuedTasks + 1] = task or nil
end
return queuedTasks
