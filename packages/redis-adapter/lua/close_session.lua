-- Closes a session: it takes no more tasks, and those that live are cancelled, a portion each time.
--
-- @args   {id, grace, further: another step of the same}
-- @return answer, the session's fields, whether some are left
--@include time tenant state task trim waiting events due rotation system ready session groups steps held ending cancelling
local params = cjson.decode(ARGV[2])
local status = sessionField(params.id, 'status')
if not status then
  return finish({ 'not_found' })
end
local answer = status == 'closed' and 'already_closed' or 'closed'
local isFirst = answer == 'closed'
if isFirst then
  changeSession(params.id, 'status', 'closed')
  scheduleIdle(params.id, now)
  beginCancelling('session', params.id, '+inf', 'the session was closed', params.grace)
end
local more = goOnCancelling('session', params.id, isFirst)
if params.further then
  return finish({ 'further', false, more })
end
return finish({ answer, viewSession(params.id), more })
