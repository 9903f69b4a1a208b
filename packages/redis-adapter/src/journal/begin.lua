-- Stores a step, or the next try of one, before it is acted on.
--
-- @args   {id, token, journal_rev, max_steps, key, kind, name, signal?, due?, call?: {id, service, operation, tries, delay,
--         silence}}
-- @return answer, the step, its outcome, changes
-- @include journal/steps scripts/system scripts/tenant scripts/time
local params = cjson.decode(ARGV[2])
local task = leased(params.id, params.token)
if not task then
  return finish({ 'lease_lost' })
end
local step, call = getStep(task, params.key), params.call
local inFlight = step and (step.ended or step.retry or openCall(step) or not call)

local function answer(word)
  local saved = finish(false)
  local outcome = redis.call('HGET', PREFIX .. task.id .. ':outcomes', params.key)
  saved[1] = { word, redis.call('HGET', stepsKey(task), params.key), outcome, changesSince(task, params.journal_rev) }
  return saved
end

local function takeFromMailbox(name)
  local mailbox = PREFIX .. task.id .. ':mailbox'
  for _, kept in ipairs(redis.call('LRANGE', mailbox, 0, -1)) do
    local of, payload = kept:match('^([^\n]*)\n(.*)$')
    if of == name then
      redis.call('LREM', mailbox, 1, kept)
      addMail(task, -#payload - #'{"ok":true,"value":}')
      return payload
    end
  end
end

if inFlight then
  return answer('known')
end
if not step then
  step = newStep(task, params.max_steps, { key = params.key, kind = params.kind, name = params.name, tries = call and call.tries or 1, signal = params.signal })
end
if not step then
  return finish({ 'too_many_steps' })
end
if call then
  step.service, step.operation, step.silence = call.service, call.operation, call.silence
  step.calls = step.calls or {}
  table.insert(step.calls, { id = call.id, state = 'sending', delay = call.delay })
  redis.call('HSET', CALLS, call.id, task.id .. ' ' .. call.service .. ' ' .. step.key)
  redis.call('HINCRBY', SENDING, call.service, 1)
  saveStep(task, step)
  return answer('begun')
end
saveStep(task, step)
local payload = params.signal and takeFromMailbox(params.signal)
if payload then
  settleStep(task, step, '{"ok":true,"value":' .. payload .. '}', true)
elseif params.due then
  step.due = now + params.due
  saveStep(task, step)
  scheduleStep(task, step, step.due)
end
return answer('begun')
