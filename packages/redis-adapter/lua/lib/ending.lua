-- The end of a task, and everything that goes with it.
local function cancelledError(reason)
  return '{"code":"cancelled","message":' .. cjson.encode(reason) .. ',"retryable":false}'
end

local function failure(code, message)
  return '{"code":"' .. code .. '","message":' .. cjson.encode(message) .. ',"retryable":false}'
end

-- `steps` are all of the task.
local function tellServices(task, steps, reason)
  local text = cjson.encode
  local rest = ',"task":"' .. task.id .. '","tenant":"' .. TENANT .. '","reason":' .. text(reason) .. '}'
  for _, step in ipairs(steps) do
    local call = openCall(step)
    if call then
      redis.call('PUBLISH', BELLS .. '@$database', 'call {"service":' .. text(step.service) .. ',"call":' .. text(call.id)
        .. ',"job":' .. text(call.job or call.id) .. rest)
    end
  end
end

local function forgetCalls(task, reason)
  if not task.journal then
    return
  end
  local steps, ended, services = allSteps(task), {}, {}
  tellServices(task, steps, reason)
  for _, step in ipairs(steps) do
    local call = openCall(step)
    if call then
      services[step.service] = (services[step.service] or 0) + (call.state == 'sending' and 1 or 0)
      call.state = 'ended'
      ended[#ended + 1] = step
    end
  end
  saveSteps(task, ended)
  for service, sending in pairs(services) do
    if sending > 0 then
      lessSending(service, sending)
    end
    dismissHeld(service)
  end
end

-- `outcome` is the result or the error as JSON, `reason` why its services need not go on.
local function endTask(task, state, outcome, reason)
  if task.state == 'leased' then
    ringWorker(task)
  end
  dequeue(task)
  move(task, state)
  unlease(task)
  task.ended, task.cancel, task.due, task.lane = now, nil, nil, nil
  rawset(task, 'outcome', outcome)
  emit(task, state == 'completed' and 'd' or 'f', outcome)
  forgetCalls(task, reason)
  if state == 'failed' then
    owe('retention', now + DEAD_RETENTION, task.id)
  else
    oweInLine('retention', now + RETENTION, { task.id })
  end
  leaveLines(task)
end

-- Cancels at once what no worker holds; rings for what one does, and gives it until the grace is over.
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
    owe('grace', now + grace, task.id)
    tellServices(task, allSteps(task), reason)
    ringWorker(task)
  end
  return 'cancelling'
end

-- A parked task may be claimed again; the worker of a leased one is told to look.
local function wake(task)
  if task.state == 'parked' then
    move(task, 'woken')
    putInQueue(task)
  elseif task.state == 'leased' then
    ringWorker(task)
  end
end
