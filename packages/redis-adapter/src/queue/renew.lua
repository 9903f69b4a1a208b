-- Prolongs leases.
--
-- @args   {lease, tasks: [id, token, whether its run has begun, id …]}
-- @return for each, whether it is lost
-- @include journal/steps scripts/due scripts/system scripts/time
local params = cjson.decode(ARGV[2])
local expires, kept, lost = now + params.lease, {}, {}
for at = 1, #params.tasks, 3 do
  local task = leased(params.tasks[at], params.tasks[at + 1])
  if task then
    task.expires = expires
    if params.tasks[at + 2] then
      task.prefetched = nil
    end
    kept[#kept + 1] = task.id
  end
  lost[#lost + 1] = task and 0 or 1
end
if #kept > 0 then
  scheduleInOrder('leases', expires, kept)
end
return finish(lost)
