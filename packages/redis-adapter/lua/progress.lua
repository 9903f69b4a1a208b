-- Tells followers how far a task is. The same change again tells nothing.
--
-- @args   {id, token?, change} · progress, as JSON
-- @return answer
--@include time tenant state task trim waiting events due rotation system repeats
local params = cjson.decode(ARGV[2])
local task = load(params.id)
if not task then
  return finish('not_found')
end
if wasMade(params.change) then
  return finish('reported')
end
if params.token and task.token ~= params.token then
  return finish('lease_lost')
end
if isFinal(task) then
  return finish('already_final')
end
noteChange(params.change)
task.progress = ARGV[3]
emit(task, 'u', '{"status":"progress","details":' .. ARGV[3] .. '}')
return finish('reported')
