-- The end of a task, and all its effects.
-- @include events/events generated/rules journal/early_reports journal/steps queue/ready scripts/due scripts/tenant
-- @include scripts/time tasks/groups tasks/task tenants/budgets
local function cancelledError(reason)
  return '{"code":"cancelled","message":' .. cjson.encode(reason) .. ',"retryable":false}'
end

local function failure(code, message)
  return '{"code":"' .. code .. '","message":' .. cjson.encode(message) .. ',"retryable":false}'
end

-- The services of a task's open calls are notified that it is cancelled or has ended; the calls of an ended task end. A
-- portion a step, the remainder is a timer: until then the calls of an ended task are stored as open, and are not. In the
-- time of one timer, so many steps of a journal can be scanned, and half as many changed.
local STEPS_PER_TIMER = 10
-- Budget left in this step of the storage, in timers that look at one thing.
local budget = TIMERS_AT_ONCE

local function spend(cost)
  budget = budget - cost
end

local function notifyService(task, step, call, reason)
  local text = cjson.encode
  redis.call('PUBLISH', WAKEUPS .. '@$database', 'call {"service":' .. text(step.service) .. ',"call":' .. text(call.id)
    .. ',"job":' .. text(call.job or call.id) .. ',"task":"' .. task.id .. '","tenant":"' .. TENANT .. '","reason":'
    .. text(reason) .. '}')
end

-- Steps with an open call, as text (a quote never stands alone in user-chosen names), and their services with the number of
-- unanswered calls. Of a task that has not ended: without the steps whose services were notified of its cancellation.
local function openSteps(task)
  local texts, services, all = {}, {}, stepTexts(task)
  spend(#all / STEPS_PER_TIMER)
  for _, text in ipairs(all) do
    local isSending = text:find('"state":"sending"', 1, true)
    if isSending or text:find('"state":"waiting"', 1, true) then
      local service = text:match('"service":("[^"]*")')
      services[service] = (services[service] or 0) + (isSending and 1 or 0)
      if isFinal(task) or not text:find('"notified":true', 1, true) then
        texts[#texts + 1] = text
      end
    end
  end
  return texts, services
end

local function notifyPortion(task, texts, reason)
  local changedSteps = {}
  for at = 1, math.min(#texts, CALLS_AT_ONCE) do
    local step = readStep(task, texts[at])
    local call = openCall(step)
    notifyService(task, step, call, reason)
    if isFinal(task) then
      call.state = 'ended'
    else
      call.notified = true
    end
    changedSteps[at] = step
  end
  spend(2 * #changedSteps / STEPS_PER_TIMER)
  saveSteps(task, changedSteps)
  if #texts > CALLS_AT_ONCE then
    schedule('calls', now, task.id .. '\n' .. reason)
  end
end

local function closeCalls(task, reason)
  local texts, services = openSteps(task)
  for service, sending in pairs(services) do
    local name = cjson.decode('[' .. service .. ']')[1]
    if sending > 0 then
      decrementSending(name, sending)
    end
    early.dismiss(name)
  end
  notifyPortion(task, texts, reason)
end

-- `outcome`: the result or the error as JSON. `reason`: for the services of its open calls.
local function endTask(task, state, outcome, reason)
  if task.state == 'leased' then
    wakeWorker(task)
  end
  dequeue(task)
  move(task, state)
  unlease(task)
  returnBudget(task)
  task.ended, task.cancel, task.due, task.queue_priority = now, nil, nil, nil
  rawset(task, 'outcome', outcome)
  emit(task, state == 'completed' and TASK_COMPLETED or TASK_FAILED, outcome)
  closeCalls(task, reason)
  if state == 'failed' then
    schedule('retention', now + DEAD_LETTER_RETENTION_MS, task.id)
  else
    scheduleInOrder('retention', now + (tonumber(meta.retention_ms) or RETENTION_MS), { task.id })
  end
  leaveGroups(task)
end

-- Cancels a task at once unless a worker holds it; a leased one is notified, and cancelled when the grace period ends.
local function cancelTask(task, reason, grace)
  if isFinal(task) then
    return 'already_final'
  end
  if task.state ~= 'leased' then
    endTask(task, 'cancelled', cancelledError(reason), reason)
    return 'cancelled'
  end
  if not task.cancel then
    task.cancel = reason
    schedule('grace', now + grace, task.id)
    notifyPortion(task, (openSteps(task)), reason)
    wakeWorker(task)
  end
  return 'cancelling'
end

-- A parked task becomes claimable; the worker of a leased one gets a wakeup.
local function wake(task)
  if task.state == 'parked' then
    move(task, 'woken')
    putInQueue(task)
  elseif task.state == 'leased' then
    wakeWorker(task)
  end
end
