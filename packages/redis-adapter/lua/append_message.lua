-- @args   {id, message_id} · the message as JSON, with $at where its time goes
-- @return answer, the message
--@intake
--@include time tenant state task trim waiting events due rotation system session
local params = cjson.decode(ARGV[2])
local status = sessionField(params.id, 'status')
if not status then
  return finish({ 'not_found' })
end
local function stored()
  local at = redis.call('ZRANK', SESSIONS .. params.id .. ':message_ids', params.message_id)
  return redis.call('LINDEX', SESSIONS .. params.id .. ':messages', at):match('\n(.*)$')
end
if redis.call('ZSCORE', SESSIONS .. params.id .. ':message_ids', params.message_id) then
  return finish({ 'known', stored() })
end
if status == 'closed' then
  return finish({ 'session_closed' })
end
addMessage(params.id, params.message_id, (ARGV[3]:gsub('%$at', now, 1)))
return finish({ 'appended', stored() })
