-- Steps requested by a task's workflow, and their outcomes.
--
-- <task>:steps      key -> the step as JSON; `calls` are its tries at a service, the last one may be open
-- <task>:outcomes   key -> outcome, as JSON that is never decoded here
-- <task>:changes    the keys of steps in the order of their changes: a change is known by its sequence, from 1 on
-- <task>:dropped    call id -> a call whose step was dropped by a retry
-- @calls  call id -> see calls · @jobs  service and job -> call id · @sending  service -> number of unanswered calls
-- @include generated/rules scripts/due scripts/tenant scripts/time tasks/task
local CALLS, JOBS, SENDING = PREFIX .. '@calls', PREFIX .. '@jobs', PREFIX .. '@sending'

local function stepsKey(task)
  return PREFIX .. task.id .. ':steps'
end

-- A step is changed in place; the caller saves it.
local function getStep(task, key)
  local cached = rawget(task, 'steps') or rawset(task, 'steps', {}).steps
  if cached[key] == nil then
    local text = redis.call('HGET', stepsKey(task), key)
    cached[key] = text and cjson.decode(text) or false
  end
  return cached[key] or nil
end

-- Maximum of fields in one command.
local FIELDS_PER_COMMAND = 500

local function saveSteps(task, steps)
  local cached = rawget(task, 'steps') or rawset(task, 'steps', {}).steps
  for from = 1, #steps, FIELDS_PER_COMMAND do
    local flat = {}
    for at = from, math.min(from + FIELDS_PER_COMMAND - 1, #steps) do
      local step = steps[at]
      cached[step.key] = step
      flat[#flat + 1] = step.key
      flat[#flat + 1] = cjson.encode(step)
    end
    redis.call('HSET', stepsKey(task), unpack(flat))
  end
  if not task.journal and #steps > 0 then
    task.journal = true
  end
end

local function saveStep(task, step)
  saveSteps(task, { step })
end

-- A new step; nothing when the journal has `max` of them. The caller saves it.
local function newStep(task, max, step)
  if redis.call('HLEN', stepsKey(task)) >= max then
    return nil
  end
  task.step_count = (task.step_count or 0) + 1
  step.era, step.at, step.rev = task.failures, task.step_count, 0
  return step
end

-- As text, as last saved.
local function stepTexts(task)
  return task.journal and redis.call('HVALS', stepsKey(task)) or {}
end

local function readStep(task, text)
  local cached = rawget(task, 'steps') or rawset(task, 'steps', {}).steps
  local step = cjson.decode(text)
  cached[step.key] = cached[step.key] or step
  return cached[step.key]
end

local function allSteps(task)
  local steps = {}
  for _, text in ipairs(stepTexts(task)) do
    steps[#steps + 1] = readStep(task, text)
  end
  return steps
end

-- The next attempt repeats failures: calls, the host's own work, and the step that `task.dropping` names, if any. Such steps
-- are dropped, a portion a step of the storage, before the attempt begins; until then they count as dropped.
local function isDropped(task, step)
  return task.dropping and step.failed and (step.kind == 'call' or step.kind == 'run' or step.key == task.dropping)
end

local function changesOf(task)
  return redis.call('LLEN', PREFIX .. task.id .. ':changes')
end

local function recordChange(task, step)
  step.rev = redis.call('RPUSH', PREFIX .. task.id .. ':changes', step.key)
end

local function lastCall(step)
  return step.calls and step.calls[#step.calls]
end

local function openCall(step)
  local call = lastCall(step)
  return call and call.state ~= 'ended' and call or nil
end

-- The outcomes of a task share a limit in bytes. An outcome that would exceed it is replaced by a failure with that reason.
-- Returns that, as JSON, its error and its text; nothing for an outcome that fits.

-- Adds to the bytes of its outcomes, or of its signals without a reader; a negative number subtracts.
local function addJournal(task, bytes)
  task.bytes = (task.bytes or 0) + bytes
  addStored(bytes)
end

local function addMail(task, bytes)
  task.mail = (task.mail or 0) + bytes
  addStored(bytes)
end

local function tooLarge(task, outcome)
  local size = (task.bytes or 0) + #outcome
  if size <= MAX_JOURNAL_BYTES then
    return nil
  end
  local message = journalTooLargeText(MAX_JOURNAL_BYTES, size)
  local error = '{"code":"result_too_large","message":"' .. message .. '","retryable":false}'
  return '{"ok":false,"error":' .. error .. '}', error, message
end

-- A step gets its outcome, as JSON, and the next sequence in the journal.
local function settleStep(task, step, outcome, ok)
  local failure = tooLarge(task, outcome)
  if failure then
    outcome, ok = failure, false
  end
  addJournal(task, #outcome)
  step.ended, step.failed, step.retry, step.due = now, not ok or nil, nil, nil
  redis.call('HSET', PREFIX .. task.id .. ':outcomes', step.key, outcome)
  recordChange(task, step)
  saveStep(task, step)
  -- Progress resets the count of lost workers. A queued task is in a group by that count, so it keeps it.
  if task.lost and (task.state == 'leased' or task.state == 'parked') then
    task.lost = nil
  end
end

-- Returns whether some are left.
local function dropPortion(task)
  local keys, gone, left = {}, {}, false
  for _, text in ipairs(task.dropping and stepTexts(task) or {}) do
    if #keys == CALLS_AT_ONCE then
      left = true
      break
    end
    local step = text:find('"failed":true', 1, true) and readStep(task, text)
    if step and isDropped(task, step) then
      for _, call in ipairs(step.calls or {}) do
        call.service, call.operation = step.service, step.operation
        gone[#gone + 1] = call.id
        gone[#gone + 1] = cjson.encode(call)
      end
      addJournal(task, -redis.call('HSTRLEN', PREFIX .. task.id .. ':outcomes', step.key))
      keys[#keys + 1] = step.key
      task.steps[step.key] = false
    end
  end
  if #keys > 0 then
    redis.call('HDEL', stepsKey(task), unpack(keys))
    redis.call('HDEL', PREFIX .. task.id .. ':outcomes', unpack(keys))
  end
  for from = 1, #gone, FIELDS_PER_COMMAND do
    redis.call('HSET', PREFIX .. task.id .. ':dropped', unpack(gone, from, math.min(from + FIELDS_PER_COMMAND - 1, #gone)))
  end
  if not left then
    task.dropping = nil
  end
  return left
end

local function scheduleStep(task, step, at)
  schedule('step', at, task.id .. '\n' .. step.key)
end

-- So many calls of a service are no longer unanswered.
local function decrementSending(service, calls)
  if redis.call('HINCRBY', SENDING, service, -calls) <= 0 then
    redis.call('HDEL', SENDING, service)
  end
end

local function settleSending(step, call)
  if call.state == 'sending' then
    decrementSending(step.service, 1)
  end
end

local function scheduleSilence(task, step, call)
  if not step.silence then
    return
  end
  local first = not call.silent
  call.silent = now + step.silence
  -- The sweeper renews a timer that fires early: one is enough, however often the service reports.
  if first then
    scheduleStep(task, step, call.silent)
  end
end

-- The changes after `journal_rev`, oldest first, as pairs of a step and its outcome, up to a limit in bytes that the first
-- may exceed. Also the last change that was looked at, and whether there are more.
local CHANGES_PER_PAGE = 1000

local function changesAfter(task, journal_rev, bytes)
  local keys = redis.call('LRANGE', PREFIX .. task.id .. ':changes', journal_rev, journal_rev + CHANGES_PER_PAGE - 1)
  local pairsOf = {}
  for at, key in ipairs(keys) do
    local step = key ~= '' and getStep(task, key)
    if step and step.rev == journal_rev + at then
      bytes = bytes - redis.call('HSTRLEN', PREFIX .. task.id .. ':outcomes', key)
      if #pairsOf > 0 and bytes < 0 then
        return pairsOf, journal_rev + at - 1, true
      end
      pairsOf[#pairsOf + 1] = redis.call('HGET', stepsKey(task), key)
      pairsOf[#pairsOf + 1] = redis.call('HGET', PREFIX .. task.id .. ':outcomes', key)
    end
  end
  return pairsOf, journal_rev + #keys, #keys == CHANGES_PER_PAGE
end

-- Changes for a worker after `journal_rev`; the reason of its cancellation; the number of failed attempts (steps of an
-- earlier era are inherited); whether there are more changes.

local function changesSince(task, journal_rev)
  local pairsOf, last, more = changesAfter(task, journal_rev, PAGE_BYTES)
  return { last, pairsOf, task.cancel or false, task.failures or 0, more }
end

-- The task if the token holds its lease.
local function leased(id, token)
  local task = load(id)
  return task and task.state == 'leased' and task.token == token and task or nil
end
