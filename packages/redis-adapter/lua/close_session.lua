-- Closes a session: it takes no more tasks, and those that live are cancelled.
--
-- @args   {id, grace}
-- @return answer, the session's fields
--@include time tenant state task trim waiting events due rotation system ready session lines steps held ending
local params = cjson.decode(ARGV[2])
local status = sessionField(params.id, 'status')
if not status then
  return finish({ 'not_found' })
end
if status == 'closed' then
  return finish({ 'already_closed', viewSession(params.id) })
end
changeSession(params.id, 'status', 'closed')
oweIdle(params.id, now)
local live = redis.call('ZRANGE', SESSIONS .. params.id .. ':live', 0, -1)
for at = #live, 1, -1 do
  local task = load(live[at])
  if task then
    cancelTask(task, 'the session was closed', params.grace)
  end
end
return finish({ 'closed', viewSession(params.id) })
