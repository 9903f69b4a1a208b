-- Begins a session, unless there is one of its id; a key that was used before stands for the session of then.
--
-- @args   {id, agent?, key?, fingerprint?} · context, as JSON
-- @return created, exists or replayed, the session's fields, its id if it was there for the key; or why not
--@intake
--@include time tenant state task trim waiting events due rotation system session idempotency
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
local made = openSession(params.id, params.agent, ARGV[3])
remember(PREFIX, params, 'session ' .. params.id)
return finish({ made and 'created' or 'exists', viewSession(params.id) })
