-- Reports a task's progress to followers. A repeated change emits nothing.
--
-- @args   {id, token?, change} · progress, as JSON
-- @return answer
-- @include events/events generated/rules scripts/applied_changes scripts/system tasks/task
local params = cjson.decode(ARGV[2])
local task = load(params.id)
if not task then
  return finish('not_found')
end
if wasApplied(params.change) then
  return finish('reported')
end
if params.token and task.token ~= params.token then
  return finish('lease_lost')
end
if isFinal(task) then
  return finish('already_final')
end
rememberChange(params.change)
task.progress = ARGV[3]
emit(task, TASK_STATUS_UPDATE, '{"status":"progress","details":' .. ARGV[3] .. '}')
return finish('reported')
