-- Claimable tasks: @ready, by (9 - priority) · 10^14 + sequence. A task that a claim could not run is in @aside:<group>
-- instead, in the same order, until a worker that runs it claims.
-- @include generated/rules scripts/system scripts/tenant
local PRIORITY_STEP = 1e14

local function scoreOf(task)
  return (9 - task.queue_priority) * PRIORITY_STEP + task.header.sequence
end

local function enqueue(task, queue_priority)
  task.queue_priority = queue_priority
  redis.call('ZADD', READY, scoreOf(task), task.id)
  becameReady = true
end

local function dequeue(task)
  if task.state ~= 'ready' and task.state ~= 'woken' then
    return
  end
  if redis.call('ZREM', READY, task.id) == 0 then
    local suspect = (task.lost or 0) >= SUSPECT_FROM_LOSSES
    local group = task.header.type .. '@' .. (task.version or '') .. (suspect and '!' or '')
    local aside = PREFIX .. '@aside:' .. group
    if redis.call('ZREM', aside, task.id) == 1 and redis.call('EXISTS', aside) == 0 then
      redis.call('SREM', PREFIX .. '@groups', group)
    end
  end
end

-- The worker of a leased task gets a wakeup.
local function wakeWorker(task)
  if task.worker then
    redis.call('PUBLISH', WAKEUPS .. ':' .. task.worker .. '@$database', 'task ' .. TENANT .. ' ' .. task.id)
  end
end

local function unlease(task)
  if not task.token then
    return
  end
  -- A tenant at its limit has left the rotation: now there is room, also for tasks set aside for other workers.
  if meta.max_running and redis.call('EXISTS', READY, PREFIX .. '@groups') > 0 then
    becameReady = true
  end
  task.token, task.worker, task.expires, task.prefetched = nil, nil, nil, nil
end
