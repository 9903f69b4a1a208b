-- A notification: {service, job, call?, task?, message?, seq?, outcome? (see outcomes)}, with parts that are never decoded:
-- metadata (JSON), and without an outcome status (JSON of the event's data). As text: the first as JSON, metadata or
-- nothing, and status or the result, each in a line; the last one may have more.
-- @include events/events generated/rules journal/call_usage journal/calls journal/outcomes journal/steps tasks/task
local REMEMBERED_MESSAGES = 100

local function reportOf(text)
  local first = text:find('\n', 1, true)
  local second = text:find('\n', first + 1, true)
  local report, large = cjson.decode(text:sub(1, first - 1)), text:sub(second + 1)
  if second > first + 1 then
    report.metadata = text:sub(first + 1, second - 1)
  end
  if report.outcome then
    withResult(report.outcome, large)
  else
    report.status = large
  end
  return report
end

-- Match as the only open call of the service in the task.
local function onlyOpenCall(report)
  local task = report.task and load(report.task)
  local found, foundStep
  for _, step in ipairs(task and not isFinal(task) and allSteps(task) or {}) do
    local call = step.service == report.service and openCall(step)
    if call and found then
      return nil
    end
    found, foundStep = call or found, call and step or foundStep
  end
  return found and { task = task, step = foundStep, call = found } or nil
end

-- Match by call id; else by the service's job id; else as the only open call of that service in that task.
local function findCall(report)
  local known = report.call and callById(report.call)
  if known then
    return known.service == report.service and known or nil
  end
  local named = redis.call('HGET', JOBS, report.service .. '\n' .. report.job)
  if named then
    return callById(named)
  end
  return onlyOpenCall(report)
end

local function isRepeated(call, report)
  if report.outcome then
    return call.print == report.outcome.fingerprint
  end
  -- As text: JSON here would keep 14 digits.
  if report.seq and call.seq and tonumber(report.seq) <= tonumber(call.seq) then
    return true
  end
  for _, message in ipairs(report.message and call.seen_messages or {}) do
    if message == report.message then
      return true
    end
  end
  return false
end

local function rememberMessage(call, report)
  call.seq = report.seq or call.seq
  if report.message then
    call.seen_messages = call.seen_messages or {}
    table.insert(call.seen_messages, report.message)
    if #call.seen_messages > REMEMBERED_MESSAGES then
      table.remove(call.seen_messages, 1)
    end
  end
end

local function applyReport(found, report)
  local task, step, call = found.task, found.step, found.call
  if isRepeated(call, report) then
    return 'duplicate'
  end
  local isStale = not step or lastCall(step) ~= call or isDropped(task, step)
  if isStale or call.state == 'ended' or isFinal(task) then
    if report.outcome then
      countUsage(found, report.outcome)
    end
    return isStale and 'stale' or 'late'
  end
  if report.outcome then
    if not call.job then
      acceptCall(task, step, call, report.job)
    end
    endCall(task, step, call, report.outcome, true)
    return 'applied'
  end
  rememberMessage(call, report)
  if call.state == 'waiting' then
    scheduleSilence(task, step, call)
  end
  saveStep(task, step)
  emit(task, TASK_STATUS_UPDATE, report.status, '"' .. report.service .. '",' .. (report.metadata or '{}'))
  return 'applied'
end
