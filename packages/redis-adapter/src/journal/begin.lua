-- Stores a step, or the next try of one, before it is acted on.
--
-- @args   {id, token, journal_rev, max_steps, key, kind, name, signal?, due?, call?: {id, service, operation, tries, delay,
--         silence}}
-- @return answer, the step, its outcome, changes
-- @include events/events generated/rules journal/steps scripts/system scripts/tenant scripts/time tasks/task_end
-- @include tenants/allowed tenants/budgets tenants/call_rates
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
-- Why the task may not call the service: a failure, as JSON.
local function refusalOf(service)
  if not mayUse(meta.services, service) then
    return failure('forbidden', serviceForbiddenText(service))
  end
  return isBudgetSpent(task) and failure('budget_exceeded', BUDGET_SPENT_TEXT) or nil
end

-- Whether the call may begin now. It may be refused, which is its outcome, or has to wait for a rate.
local function mayBegin()
  local refusal = refusalOf(call.service)
  if not refusal and not step.admitted then
    local wait, taken = takeCall(call.service, call.operation, MAX_RATE_WAIT_MS)
    if wait > MAX_RATE_WAIT_MS then
      local message = rateExceededText(MAX_RATE_WAIT_MS)
      refusal = '{"code":"rate_limited","message":' .. cjson.encode(message) .. ',"retryable":true}'
    elseif wait > 0 then
      step.admitted, step.taken, step.retry = true, taken, now + wait
      recordChange(task, step)
      saveStep(task, step)
      scheduleStep(task, step, step.retry)
      emit(task, TASK_STATUS_UPDATE, '{"status":"rate_limited","details":{"service":"' .. call.service .. '","operation":"'
        .. call.operation .. '","retry_after_ms":' .. wait .. '}}')
      return false
    else
      step.taken = taken
    end
  end
  if refusal then
    settleStep(task, step, '{"ok":false,"error":' .. refusal .. '}', false)
  end
  return not refusal
end

if call and not mayBegin() then
  return answer('known')
end
if call then
  step.service, step.operation, step.silence = call.service, call.operation, call.silence
  step.calls = step.calls or {}
  table.insert(step.calls, { id = call.id, state = 'sending', delay = call.delay, taken = step.taken })
  step.admitted, step.taken = nil, nil
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
