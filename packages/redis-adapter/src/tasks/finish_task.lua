-- Ends a registered task.
--
-- @args   {id, state: completed or failed, reason} · its result or error, as JSON
-- @return answer, the task
-- @include scripts/system tasks/cancellation tasks/task tasks/task_end
local params = cjson.decode(ARGV[2])
local task = load(params.id)
if not task then
  return finish({ 'not_found' })
end
local answer = isFinal(task) and 'already_final' or task.state ~= 'tracked' and 'not_tracked' or 'finished'
if answer == 'finished' and params.state == 'completed' then
  endTask(task, 'completed', ARGV[3], params.reason)
elseif answer == 'finished' then
  failTask(task, ARGV[3], params.reason)
end
local saved = finish(false)
saved[1] = { answer, view(params.id) }
return saved
