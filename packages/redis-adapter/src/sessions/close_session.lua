-- Closes a session: refuses new tasks and cancels the live ones, a portion a call.
--
-- @args   {id, grace, further: true for a later step of the same}
-- @return answer, the session's fields, whether some are left
-- @include generated/rules scripts/system scripts/time sessions/session tasks/cancellation
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
  beginCancelling('session', params.id, '+inf', SESSION_CLOSED_TEXT, params.grace)
end
local more = continueCancelling('session', params.id, isFirst)
if params.further then
  return finish({ 'further', false, more })
end
return finish({ answer, viewSession(params.id), more })
