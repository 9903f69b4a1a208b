-- Cancels a task.
--
-- @args   {id, reason, grace}
-- @return answer, the task
-- @include scripts/system tasks/task tasks/task_end
local params = cjson.decode(ARGV[2])
local task = load(params.id)
if not task then
  return finish({ 'not_found' })
end
local answer = cancelTask(task, params.reason, params.grace)
local saved = finish(false)
saved[1] = { answer, view(params.id) }
return saved
