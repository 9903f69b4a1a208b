-- Creates a session, unless one of its id exists; a used key stands for the session created with it.
--
-- @args   {id, agent?, key?, fingerprint?} · context, as JSON
-- @return created, exists or replayed, the session's fields, the session's id if replayed; or a refusal
-- @intake
-- @include scripts/system scripts/tenant sessions/session tasks/idempotency
local params = cjson.decode(ARGV[2])
local answer, used = usedBefore(PREFIX, params, 'session')
if answer and answer ~= 'replayed' then
  return finish({ answer })
end
local kept = answer and viewSession(used)
if kept and #kept > 0 then
  return finish({ answer, kept, used })
end
if redis.call('EXISTS', SESSIONS .. params.id) == 0 and holdsTooMuch() then
  return finish({ 'queue_full' })
end
local isNew = openSession(params.id, params.agent, ARGV[3])
remember(PREFIX, params, 'session ' .. params.id)
return finish({ isNew and 'created' or 'exists', viewSession(params.id) })
