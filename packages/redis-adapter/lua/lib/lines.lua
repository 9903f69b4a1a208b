-- Tasks that may not all run at once: those of a session (one at a time, in order), and of a batch (at most `max`).
-- A task that stands in a line either is inside, or waits. One of a session and a batch waits for its session first: the batch
-- knows it once it is the first of its session and only the batch has no room. So whom a place is for is found at once.
--
-- @batch:<id>  max, fail_fast, created; see also cancelling · …:items  task ids, or errors as JSON · …:inside
-- …:line  those that wait for the batch, in their order
-- …:gone  task id -> the state in which a task ended that is no longer kept
-- While tasks of a batch are still staged, its hash says in `total` how many items it has, see batches.
local function isStaged(batch)
  return redis.call('HEXISTS', batch, 'total') == 1
end

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

-- A task whose time has come stands in its lines: `ready` if they let it in, else `waiting`.
local function standInLine(task)
  if admitted(task) then
    return 'ready'
  end
  local session, batch = lineSession(task), batchKey(task)
  -- A line is in order of this number.
  addMeta('lined', 1)
  if session then
    redis.call('ZADD', SESSIONS .. session .. ':line', count('lined'), task.id)
    redis.call('HINCRBY', SESSIONS .. session, 'w' .. task.head.priority, 1)
    local inside = sessionField(session, 'inside')
    local head = inside and load(inside)
    if head and (head.state == 'ready' or head.state == 'woken') and urgency(head) ~= (head.lane or head.head.priority) then
      dequeue(head)
      putInQueue(head)
    end
  end
  if batch and (not session or sessionLets(session, task)) then
    redis.call('ZADD', batch .. ':line', count('lined'), task.id)
  end
  return 'waiting'
end

local function letIn(task)
  move(task, 'ready')
  putInQueue(task)
end

-- The first task of a session without a running one is let in, or waits for its batch from now on.
local function letIntoSession(session)
  local line = SESSIONS .. session .. ':line'
  while true do
    local inside, shut = unpack(redis.call('HMGET', SESSIONS .. session, 'inside', 'cancel_left'))
    local first = not inside and not shut and redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
    if not first or not first[1] then
      return
    end
    local task = load(first[1])
    if not task then
      -- Somebody has removed the task while it stood in line.
      redis.call('ZREM', line, first[1])
    elseif admitted(task) then
      letIn(task)
    else
      redis.call('ZADD', batchKey(task) .. ':line', first[2], task.id)
      return
    end
  end
end

-- As many as there is room for. One that its session does not let in comes back when it does.
local function letIntoBatch(batch)
  while batchHasRoom(batch) do
    local id = redis.call('ZRANGE', batch .. ':line', 0, 0)[1]
    if not id then
      return
    end
    local task = load(id)
    if task and admitted(task) then
      letIn(task)
    else
      redis.call('ZREM', batch .. ':line', id)
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
    letIntoSession(session)
  end
  if batch then
    letIntoBatch(batch)
  end
  if task.head.session_id then
    redis.call('ZREM', SESSIONS .. task.head.session_id .. ':live', task.id)
  end
end
