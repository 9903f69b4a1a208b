-- Makes a parked task claimable although nothing has arrived.
--
-- @args   task id
-- @return answer
--@include time tenant state task event_log completions events due rotation system ready session groups steps early_reports task_end cancellation
local task = load(ARGV[2])
if not task or task.state ~= 'parked' then
  return finish('not_parked')
end
wake(task)
return finish('woken')
