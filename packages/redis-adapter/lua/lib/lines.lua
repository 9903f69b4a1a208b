-- Tasks that may not all run at once: those of a session (one at a time, in order), and of a batch (at most `max`).
-- A task that stands in a line either is inside, or waits.
--
-- @batch:<id>  max, fail_fast, created · …:items  task ids, or errors as JSON · …:inside · …:line  those that wait
-- …:gone  task id -> the state in which a task ended that is no longer kept
local function batchKey(task)
  return task.head.batch_id and PREFIX .. '@batch:' .. task.head.batch_id
end

local function lineSession(task)
  return not task.head.parallel and task.head.session_id
end

-- The priority that the head of a session is queued with: its own, or that of a more urgent task behind it.
local function urgency(task)
  local session = lineSession(task)
  if session then
    for priority = 9, task.head.priority + 1, -1 do
      if (tonumber(sessionField(session, 'w' .. priority)) or 0) > 0 then
        return priority
      end
    end
  end
  return task.head.priority
end

local function putInQueue(task)
  enqueue(task, urgency(task))
end

local function stopWaiting(task)
  local session, batch = lineSession(task), batchKey(task)
  if session and redis.call('LREM', SESSIONS .. session .. ':line', 1, task.id) > 0 then
    redis.call('HINCRBY', SESSIONS .. session, 'w' .. task.head.priority, -1)
  end
  if batch then
    redis.call('LREM', batch .. ':line', 1, task.id)
  end
end

local function sessionLets(session, task)
  local inside = sessionField(session, 'inside')
  if inside then
    return inside == task.id
  end
  local first = redis.call('LINDEX', SESSIONS .. session .. ':line', 0)
  return not first or first == task.id
end

local function batchLets(batch, task)
  if redis.call('SISMEMBER', batch .. ':inside', task.id) == 1 then
    return true
  end
  return redis.call('SCARD', batch .. ':inside') < tonumber(redis.call('HGET', batch, 'max'))
end

-- Whether every line of the task lets it in; if so it is inside.
local function admitted(task)
  local session, batch = lineSession(task), batchKey(task)
  if (session and not sessionLets(session, task)) or (batch and not batchLets(batch, task)) then
    return false
  end
  stopWaiting(task)
  if session then
    redis.call('HSET', SESSIONS .. session, 'inside', task.id)
  end
  if batch then
    redis.call('SADD', batch .. ':inside', task.id)
  end
  return true
end

-- A task whose time has come stands in its lines: `ready` if they let it in, else `waiting`.
local function standInLine(task)
  if admitted(task) then
    return 'ready'
  end
  local session, batch = lineSession(task), batchKey(task)
  local inside = session and sessionField(session, 'inside')
  if session and inside ~= task.id then
    redis.call('RPUSH', SESSIONS .. session .. ':line', task.id)
    redis.call('HINCRBY', SESSIONS .. session, 'w' .. task.head.priority, 1)
    local head = inside and load(inside)
    if head and (head.state == 'ready' or head.state == 'woken') and urgency(head) ~= (head.lane or head.head.priority) then
      dequeue(head)
      putInQueue(head)
    end
  end
  if batch and redis.call('SISMEMBER', batch .. ':inside', task.id) == 0 then
    redis.call('RPUSH', batch .. ':line', task.id)
  end
  return 'waiting'
end

-- Lets in those of a line for whom there is room now. `inOrder`: nobody overtakes one who may not go.
local function letNextIn(key, hasRoom, inOrder)
  for _, id in ipairs(redis.call('LRANGE', key, 0, -1)) do
    if not hasRoom() then
      return
    end
    local task = load(id)
    if task and admitted(task) then
      move(task, 'ready')
      putInQueue(task)
    elseif inOrder then
      return
    end
  end
end

local function leaveLines(task)
  local session, batch = lineSession(task), batchKey(task)
  stopWaiting(task)
  if session and sessionField(session, 'inside') == task.id then
    redis.call('HDEL', SESSIONS .. session, 'inside')
  end
  if batch then
    redis.call('SREM', batch .. ':inside', task.id)
  end
  if session then
    letNextIn(SESSIONS .. session .. ':line', function() return not sessionField(session, 'inside') end, true)
  end
  if batch then
    local max = tonumber(redis.call('HGET', batch, 'max'))
    letNextIn(batch .. ':line', function() return redis.call('SCARD', batch .. ':inside') < max end, false)
  end
  if task.head.session_id then
    redis.call('ZREM', SESSIONS .. task.head.session_id .. ':live', task.id)
  end
end
