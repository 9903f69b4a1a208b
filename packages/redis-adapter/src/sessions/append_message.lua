-- @args   {id, message_id} · the message as JSON, with $at as placeholder of its time
-- @return answer, the message
-- @intake
-- @include scripts/system scripts/tenant scripts/time sessions/session
local params = cjson.decode(ARGV[2])
local status = sessionField(params.id, 'status')
if not status then
  return finish({ 'not_found' })
end
local at = redis.call('ZRANK', SESSIONS .. params.id .. ':message_ids', params.message_id)
if at then
  local stored = redis.call('LINDEX', SESSIONS .. params.id .. ':messages', at) or ''
  return finish({ 'known', stored:match('\n(.*)$') or error('the messages do not fit their ids') })
end
if status == 'closed' then
  return finish({ 'session_closed' })
end
if holdsTooMuch() then
  return finish({ 'queue_full' })
end
local message = ARGV[3]:gsub('%$at', now, 1)
addMessage(params.id, params.message_id, message)
return finish({ 'appended', message })
