-- A page of a journal in the order of its changes; the last page also has the unchanged steps.
--
-- @args   id · token · after which change · bytes of outcomes
-- @return steps and their outcomes, in pairs · the change after which the next page begins, if any · the last change
--         included · number of failed attempts; nothing when the lease is lost
-- @reads
-- @include journal/steps
local task = leased(ARGV[2], ARGV[3])
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
return { pairsOf, more and journal_rev or false, journal_rev, task.failures or 0 }
