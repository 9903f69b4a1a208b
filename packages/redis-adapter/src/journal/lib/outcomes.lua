-- Effect of an answer, a notification or a missing one on a call and its step. The adapter passes what it has read from the
-- outcome, which is opaque here: {json, ok, value (JSON of the result or the error), retryable, reason (the error's text),
-- fingerprint, tokens?, model?, … (usage)}. A result is passed beside it: decoding a large one takes long.
-- @include events/events generated/rules journal/call_usage journal/calls journal/steps scripts/time
-- @include tasks/cancellation tasks/task tasks/task_end tenants/call_rates
local function withResult(outcome, result)
  if outcome.ok then
    outcome.json, outcome.value = '{"ok":true,"value":' .. result .. '}', result
  end
  return outcome
end

-- The service has accepted a call. A call with an outcome only gets its job id, so that repeats are recognised.
local function acceptCall(task, step, call, job)
  local field = step.service .. '\n' .. job
  local named = redis.call('HGET', JOBS, field)
  local other = named and callById(named)
  -- A reused job id is that of the newer call, once the older one has ended.
  if not other or other.call.state == 'ended' or isFinal(other.task) then
    redis.call('HSET', JOBS, field, call.id)
  end
  -- The earlier job id no longer finds the call: a call has one, which is forgotten with it.
  local before = call.job and call.job ~= job and step.service .. '\n' .. call.job
  if before and redis.call('HGET', JOBS, before) == call.id then
    redis.call('HDEL', JOBS, before)
  end
  call.job = job
  if call.state == 'sending' then
    settleSending(step, call)
    call.state = 'waiting'
    scheduleSilence(task, step, call)
  end
  saveStep(task, step)
end

-- Only a reported or missing notification begins a new try: the sender has retried an answer already.
local function mayTryAgain(step, outcome)
  return not outcome.ok and outcome.retryable and #step.calls < step.tries
end

-- The outcome of one try: it ends the step, or the task itself, or schedules the next try.
local function endCall(task, step, call, outcome, notified)
  settleSending(step, call)
  call.state, call.print = 'ended', outcome.fingerprint
  call.ok = outcome.ok and not tooLarge(task, outcome.json)
  if outcome.tokens then
    countUsage({ task = task, step = step, call = call }, outcome)
  else
    returnTokens(call)
  end
  if notified and mayTryAgain(step, outcome) then
    step.retry = now + call.delay
    recordChange(task, step)
    saveStep(task, step)
    scheduleStep(task, step, step.retry)
    emit(task, TASK_STATUS_UPDATE, '{"status":"retrying","details":{"service":"' .. step.service .. '","operation":"' .. step.operation
      .. '","try":' .. (#step.calls + 1) .. ',"error":' .. cjson.encode(outcome.reason) .. '}}')
    wake(task)
    return
  end
  local failure, error, message = tooLarge(task, outcome.json)
  if failure then
    outcome = { json = failure, ok = false, value = error, reason = message }
  end
  local only = task.state == 'tracked' and redis.call('HLEN', stepsKey(task)) == 1
  settleStep(task, step, outcome.json, outcome.ok)
  if notified then
    wake(task)
  end
  if only and outcome.ok then
    endTask(task, 'completed', outcome.value, TASK_COMPLETED_TEXT)
  elseif only then
    failTask(task, outcome.value, outcome.reason)
  end
end

-- A service's answer to a call: `accepted` with a job, or an outcome.
local function answerCall(task, step, call, answer)
  if answer.job then
    local wasSending = call.state == 'sending'
    acceptCall(task, step, call, answer.job)
    return wasSending and 'recorded' or 'known'
  end
  if call.state == 'ended' or isFinal(task) then
    countUsage({ task = task, step = step, call = call }, answer)
    return 'known'
  end
  endCall(task, step, call, answer, false)
  return 'recorded'
end
