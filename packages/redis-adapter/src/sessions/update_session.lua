-- Compare and set. A repeated change has no effect.
--
-- @args   {id, rev, agent?, change, has_context: whether it is replaced} · the new context, as JSON
-- @return answer, the session's fields
-- @intake
-- @include scripts/applied_changes scripts/system scripts/tenant sessions/session
local params = cjson.decode(ARGV[2])
local session = hmget(SESSIONS .. params.id, 'status', 'rev')
if not session.status then
  return finish({ 'not_found' })
end
if wasApplied(params.change) then
  return finish({ 'updated', viewSession(params.id) })
end
if session.status == 'closed' then
  return finish({ 'session_closed' })
end
if tonumber(session.rev) ~= params.rev then
  return finish({ 'conflict', viewSession(params.id) })
end
local growth = #ARGV[3] - redis.call('HSTRLEN', SESSIONS .. params.id, 'context')
-- Without room, only a smaller context is accepted.
if params.has_context and growth >= 0 and holdsTooMuch() then
  return finish({ 'queue_full' })
end
rememberChange(params.change)
chargeSession(params.id, growth)
if params.agent then
  changeSession(params.id, 'context', ARGV[3], 'agent', params.agent)
else
  changeSession(params.id, 'context', ARGV[3])
end
return finish({ 'updated', viewSession(params.id) })
