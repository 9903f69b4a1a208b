-- A parked task may be claimed again although nothing has arrived.
--
-- @args   task id
-- @return answer
--@include time tenant state task trim waiting events due rotation system ready session groups steps held ending cancelling
local task = load(ARGV[2])
if not task or task.state ~= 'parked' then
  return finish('not_parked')
end
wake(task)
return finish('woken')
