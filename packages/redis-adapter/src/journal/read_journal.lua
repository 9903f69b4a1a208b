-- A page of a journal in the order of its changes; the last page also has the unchanged steps.
--
-- @args   id · token; empty: a task in any state · after which change · bytes of outcomes
-- @return steps and their outcomes, in pairs · the change after which the next page begins, if any · the last change
--         included · number of failed attempts · seed, start, version and inherited revision of its runs; nothing when
--         the lease is lost, or there is no such task
-- @reads
-- @include journal/steps tasks/task
local task
if ARGV[3] == '' then
  task = load(ARGV[2])
else
  task = leased(ARGV[2], ARGV[3])
end
if not task then
  return false
end
local pairsOf, journal_rev, more = changesAfter(task, tonumber(ARGV[4]), tonumber(ARGV[5]))
local unchanged = {}
if not more then
  for _, step in ipairs(allSteps(task)) do
    if step.rev == 0 then
      unchanged[#unchanged + 1] = step
    end
  end
  table.sort(unchanged, function(a, b) return a.at < b.at end)
end
for _, step in ipairs(unchanged) do
  pairsOf[#pairsOf + 1] = redis.call('HGET', stepsKey(task), step.key)
  pairsOf[#pairsOf + 1] = false
end
local origin = { task.seed or false, task.began or false, task.version or false, task.inherited or 0 }
return { pairsOf, more and journal_rev or false, journal_rev, task.failures or 0, origin }
