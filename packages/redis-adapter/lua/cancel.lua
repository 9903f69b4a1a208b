-- Cancels a task.
--
-- @args   {id, reason, grace}
-- @return answer, the task
--@include time tenant state task event_log completions events due rotation system ready session groups steps early_reports task_end cancellation
local params = cjson.decode(ARGV[2])
local task = load(params.id)
if not task then
  return finish({ 'not_found' })
end
local answer = cancelTask(task, params.reason, params.grace)
local saved = finish(false)
saved[1] = { answer, view(params.id) }
return saved
