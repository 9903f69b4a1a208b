-- Tasks that may not all run at once: those of a session (one at a time, in order), and of a batch (at most `max`).
-- A task that stands in a line either is inside, or waits.
--
-- @batch:<id>  max, fail_fast, created; see also cancelling · …:items  task ids, or errors as JSON · …:inside
-- …:line  those that wait, in their order
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
  if session and redis.call('ZREM', SESSIONS .. session .. ':line', task.id) > 0 then
    redis.call('HINCRBY', SESSIONS .. session, 'w' .. task.head.priority, -1)
  end
  if batch then
    redis.call('ZREM', batch .. ':line', task.id)
  end
end

local function sessionLets(session, task)
  local inside, shut = unpack(redis.call('HMGET', SESSIONS .. session, 'inside', 'cancel_left'))
  if inside or shut then
    return inside == task.id
  end
  local first = redis.call('ZRANGE', SESSIONS .. session .. ':line', 0, 0)[1]
  return not first or first == task.id
end

local function batchHasRoom(batch)
  local max, shut = unpack(redis.call('HMGET', batch, 'max', 'cancel_left'))
  return not shut and redis.call('SCARD', batch .. ':inside') < tonumber(max)
end

local function batchLets(batch, task)
  if redis.call('SISMEMBER', batch .. ':inside', task.id) == 1 then
    return true
  end
  return batchHasRoom(batch)
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

-- At the end of a line, which is in order of this number.
local function standBehind(line, task)
  addMeta('lined', 1)
  redis.call('ZADD', line, count('lined'), task.id)
end

-- A task whose time has come stands in its lines: `ready` if they let it in, else `waiting`.
local function standInLine(task)
  if admitted(task) then
    return 'ready'
  end
  local session, batch = lineSession(task), batchKey(task)
  local inside = session and sessionField(session, 'inside')
  if session and inside ~= task.id then
    standBehind(SESSIONS .. session .. ':line', task)
    redis.call('HINCRBY', SESSIONS .. session, 'w' .. task.head.priority, 1)
    local head = inside and load(inside)
    if head and (head.state == 'ready' or head.state == 'woken') and urgency(head) ~= (head.lane or head.head.priority) then
      dequeue(head)
      putInQueue(head)
    end
  end
  if batch and redis.call('SISMEMBER', batch .. ':inside', task.id) == 0 then
    standBehind(batch .. ':line', task)
  end
  return 'waiting'
end

-- Lets in those of a line for whom there is room now. `inOrder`: nobody overtakes one who may not go.
local function letNextIn(line, hasRoom, inOrder)
  local passed = 0
  while hasRoom() do
    local id = redis.call('ZRANGE', line, passed, passed)[1]
    if not id then
      return
    end
    local task = load(id)
    if task and admitted(task) then
      move(task, 'ready')
      putInQueue(task)
    elseif inOrder and task then
      return
    elseif task then
      passed = passed + 1
    else
      -- Somebody has removed the task while it stood in line.
      redis.call('ZREM', line, id)
    end
  end
end

local function letIntoSession(session)
  letNextIn(SESSIONS .. session .. ':line', function()
    local inside, shut = unpack(redis.call('HMGET', SESSIONS .. session, 'inside', 'cancel_left'))
    return not inside and not shut
  end, true)
end

local function letIntoBatch(batch)
  letNextIn(batch .. ':line', function() return batchHasRoom(batch) end, false)
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
    letIntoSession(session)
  end
  if batch then
    letIntoBatch(batch)
  end
  if task.head.session_id then
    redis.call('ZREM', SESSIONS .. task.head.session_id .. ':live', task.id)
  end
end
