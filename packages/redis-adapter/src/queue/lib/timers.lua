-- Timers. Each one checks its condition when it fires, since much may have changed. Names used by some of them only are in a
-- block: a script has room for 200 locals.
-- @include generated/rules journal/early_reports journal/outcomes journal/steps queue/ready scripts/due scripts/system
-- @include scripts/tenant scripts/time sessions/session tasks/cancellation tasks/groups tasks/removal tasks/task
-- @include tasks/task_end tenants/settings
local timers = {}
-- Maximum of events, tasks of @created, and items of a batch that are looked at in a step.
local PER_STEP = { events = 400, created = 500, items = 500 }

-- The sweeping process continues a batch whose tasks are still staged, see batches.
function timers.staged(id)
  if not isStaged(PREFIX .. '@batch:' .. id) then
    return false
  end
  effects[#effects + 1] = { 'staged', id }
  schedule('staged', now + CANCELLER_TIMEOUT, id)
  return true
end

function timers.cancel(what)
  return sweepCancelling(what:match('^([^\n]*)\n(.*)$'))
end

local function liveTask(id)
  local task = load(id)
  return task and not isFinal(task) and task or nil
end

local function endGrace(task)
  if not task or not task.cancel then
    return false
  end
  endTask(task, 'cancelled', cancelledError(task.cancel), task.cancel)
  return true
end

-- Remaining calls of a task that is cancelled, or has ended. Not counted as a timer: part of an earlier one.
function timers.calls(what)
  local id, reason = what:match('^([^\n]*)\n(.*)$')
  local task = load(id)
  if task and (task.cancel or isFinal(task)) then
    notifyPortion(task, (openSteps(task)), reason)
  end
  return false
end

function timers.grace(id)
  return endGrace(liveTask(id))
end

function timers.start(id)
  local task = liveTask(id)
  if not task or task.state ~= 'scheduled' then
    return false
  end
  if (task.due or 0) > now then
    schedule('start', task.due, id)
    return false
  end
  if task.dropping then
    spend(changesOf(task) / STEPS_PER_TIMER)
    if dropPortion(task) then
      schedule('start', now, id)
      return false
    end
  end
  task.due = nil
  local to = joinGroups(task)
  move(task, to)
  if to == 'ready' then
    putInQueue(task)
  end
  return true
end

function timers.deadline(id)
  local task = liveTask(id)
  if not task then
    return false
  end
  -- The deadline of a discarded task whose id another one has by now: that has its own.
  if math.max(task.header.at, task.header.run_at or 0) + task.header.timeout > now then
    return false
  end
  local message = taskTimedOutText(task.header.timeout)
  failTask(task, failure('timeout', message), message)
  return true
end

-- A worker that did not renew counts as lost; its task is ready again, unless it has lost too many workers.
function timers.leases(id)
  local task = liveTask(id)
  if not load(id) and redis.call('HDEL', LIVE, id) == 1 then
    -- The task was removed from outside while it was leased.
    addMeta('processing', -1)
    addMeta('running', -1)
  end
  if not task or task.state ~= 'leased' or task.expires > now then
    return false
  end
  if task.cancel then
    return endGrace(task)
  end
  -- A task that was only prefetched has not harmed its worker.
  if not task.prefetched then
    task.lost = (task.lost or 0) + 1
  end
  if (task.lost or 0) >= MAX_LOST_WORKERS then
    local message = workersLostText(task.lost)
    failTask(task, failure('worker_lost', message), message)
    return true
  end
  unlease(task)
  move(task, task.resumes and 'woken' or 'ready')
  putInQueue(task)
  return true
end

do
  local function endSilence(task, step)
    local call = lastCall(step)
    if not call or call.state ~= 'waiting' or not call.silent then
      return false
    end
    if call.silent > now then
      scheduleStep(task, step, call.silent)
      return false
    end
    local message = serviceSilentText(step.service, call.job, step.silence)
    local error = '{"code":"timeout","message":' .. cjson.encode(message) .. ',"retryable":true}'
    endCall(task, step, call, {
      ok = false, retryable = true, json = '{"ok":false,"error":' .. error .. '}', value = error,
      reason = message,
    }, true)
    return true
  end

  -- A sleep ends, a signal did not come, a back-off ends, or a service was silent for too long.
  function timers.step(what)
    local id, key = what:match('^([^\n]*)\n(.*)$')
    local task = liveTask(id)
    local step = task and getStep(task, key)
    if not step or step.ended then
      return false
    end
    if step.due and step.due <= now then
      local error = failure('timeout', stepTimedOutText(step.name))
      local slept = step.kind == 'sleep'
      settleStep(task, step, slept and '{"ok":true,"value":null}' or '{"ok":false,"error":' .. error .. '}', slept)
      wake(task)
      return true
    end
    if step.retry and step.retry <= now then
      step.retry = nil
      recordChange(task, step)
      saveStep(task, step)
      wake(task)
      return true
    end
    if step.due or step.retry then
      -- Too early: the timer is kept until its time.
      scheduleStep(task, step, step.due or step.retry)
      return false
    end
    return endSilence(task, step)
  end
end

function timers.held(id)
  local held = early.find(id)
  if not held then
    return redis.call('HDEL', HELD, id) == 1
  end
  early.decide(id, held, 'unknown_task')
  -- The answer stays readable for as long again.
  schedule('held', now + HELD_FRAME_MS, id)
  return true
end

-- Closes an idle session; removes one that was closed for as long.
function timers.session(id)
  local key = SESSIONS .. id
  local session = hmget(key, 'status', 'updated')
  if not session.status then
    return false
  end
  if redis.call('ZCARD', key .. ':live') > 0 or session.updated + SESSION_IDLE_MS > now then
    scheduleIdle(id, tonumber(session.updated))
  elseif session.status == 'active' then
    changeSession(id, 'status', 'closed')
    scheduleIdle(id, now)
  else
    addStored(-(tonumber(redis.call('HGET', key, 'bytes')) or 0))
    redis.call('UNLINK', key, key .. ':messages', key .. ':message_ids', key .. ':message_bytes', key .. ':live', key .. ':queue')
    redis.call('ZREM', PREFIX .. '@sessions', id)
  end
  return true
end

-- Removes a batch once none of its tasks is kept; `scanned` of them are looked at already.
function timers.batch(id)
  local key = PREFIX .. '@batch:' .. id
  local scanned = tonumber(redis.call('HGET', key, 'scanned')) or 0
  local items = redis.call('LRANGE', key .. ':items', scanned, scanned + PER_STEP.items - 1)
  spend(#items / STEPS_PER_TIMER)
  for at, item in ipairs(items) do
    if item:sub(1, 1) ~= '{' and redis.call('EXISTS', PREFIX .. item) == 1 then
      redis.call('HSET', key, 'scanned', string.format('%d', scanned + at - 1))
      schedule('batch', now + RETENTION_MS, id)
      return false
    end
  end
  if #items == PER_STEP.items or isStaged(key) then
    redis.call('HSET', key, 'scanned', string.format('%d', scanned + #items))
    schedule('batch', #items > 0 and now or now + RETENTION_MS, id)
    return false
  end
  redis.call('UNLINK', key, key .. ':items', key .. ':holders', key .. ':queue', key .. ':gone')
  return true
end

timers.forget = removal.forgetCalls

function timers.retention(id)
  local task = load(id)
  if not task or not isFinal(task) then
    return false
  end
  removal.remove(task)
  return true
end

-- Nothing of the tenant is kept any more: its counters go at the end of this step.
local isForgotten = false

-- Whether nothing readable and no setting is kept, and no process follows.
local function isForgettable()
  for _, last in (meta.awaited or ''):gmatch('(%S+) (%d+)') do
    if now < tonumber(last) then
      return false
    end
  end
  for _, status in ipairs(STATUSES) do
    if count(status) > 0 then
      return false
    end
  end
  return not hasSettings() and now >= count('followed')
    and redis.call('EXISTS', DUE, LIVE, DONE, PREFIX .. '@created', PREFIX .. '@leases', PREFIX .. '@retention',
      PREFIX .. '@sessions') == 0
end

-- Removes events that are too old, with limits in number and in bytes, since an entry is read to know its age.
function timers.events()
  local at
  local room = PAGE_BYTES
  for left = PER_STEP.events, 0, -1 do
    local oldest = redis.call('XRANGE', EVENTS, '-', '+', 'COUNT', 1)[1]
    at = oldest and tonumber(oldest[2][2]:match('^%[(%d+)'))
    if not at or at + MAX_EVENT_AGE_MS > now then
      break
    end
    if left == 0 or room <= 0 then
      -- Ends the step; the next one continues.
      spend(budget)
      break
    end
    room = room - #oldest[2][2]
    redis.call('XDEL', EVENTS, oldest[1])
  end
  if not at then
    -- An empty stream still takes kilobytes.
    redis.call('DEL', EVENTS, EVENTS .. ':bytes', EVENTS .. ':stretches')
    isForgotten = isForgettable()
    if isForgotten then
      return true
    end
  end
  schedule('events', math.max(now, (at or now) + MAX_EVENT_AGE_MS), '')
  return true
end

-- Trims the front of @created, once every task there is checked for its deadline and past the retention: the tasks that are
-- still kept move to @old.
local function trimCreated()
  local left = PER_STEP.created
  while left > 0 do
    local chunk = count('checked') > 0 and redis.call('LINDEX', PREFIX .. '@created', 0)
    local sequence, ids = (chunk or ''):match('^(%d+) %d+ (.*)$')
    if not sequence then
      return
    end
    local at = -1
    for id in ids:gmatch('%S+') do
      at, left = at + 1, left - 1
      local text = redis.call('GETRANGE', PREFIX .. id, 0, 40)
      local createdAt = text:match('^{"at":(%d+)')
      if createdAt and tonumber(createdAt) + 2 * RETENTION_MS > now then
        return
      end
      if createdAt then
        redis.call('ZADD', PREFIX .. '@old', sequence + at, id)
      end
    end
    redis.call('LPOP', PREFIX .. '@created')
    addMeta('checked', -1)
  end
end
