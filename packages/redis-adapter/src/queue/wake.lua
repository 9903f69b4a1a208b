-- Makes a parked task claimable although nothing has arrived.
--
-- @args   task id
-- @return answer
-- @include scripts/system tasks/task tasks/task_end
local task = load(ARGV[2])
if not task or task.state ~= 'parked' then
  return finish('not_parked')
end
wake(task)
return finish('woken')
