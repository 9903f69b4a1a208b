-- Tasks that may not all run at once: those of a session (one at a time, in order), and of a batch (at most `max`).
-- A task that stands in a line either is holders, or waits. One of a session and a batch waits for its session first: the batch
-- knows it once it is the first of its session and only the batch has no room. So whom a sequence is for is found at once.
--
-- @batch:<id>  max, fail_fast, created; see also cancelling · …:items  task ids, or errors as JSON · …:holders
-- …:line  those that wait for the batch, in their order
-- …:gone  task id -> the state in which a task ended that is no longer kept
-- While tasks of a batch are still staged, its hash says in `total` how many items it has, see batches.
local function isStaged(batch)
  return redis.call('HEXISTS', batch, 'total') == 1
end

local function batchKey(task)
  return task.header.batch_id and PREFIX .. '@batch:' .. task.header.batch_id
end

local function groupSession(task)
  return not task.header.parallel and task.header.session_id
end

-- The priority that the header of a session is queued with: its own, or that of a more urgent task behind it.
local function urgency(task)
  local session = groupSession(task)
  if session then
    for priority = 9, task.header.priority + 1, -1 do
      if (tonumber(sessionField(session, 'w' .. priority)) or 0) > 0 then
        return priority
      end
    end
  end
  return task.header.priority
end

local function putInQueue(task)
  enqueue(task, urgency(task))
end

local function stopWaiting(task)
  local session, batch = groupSession(task), batchKey(task)
  if session and redis.call('ZREM', SESSIONS .. session .. ':line', task.id) > 0 then
    redis.call('HINCRBY', SESSIONS .. session, 'w' .. task.header.priority, -1)
  end
  if batch then
    redis.call('ZREM', batch .. ':line', task.id)
  end
end

local function sessionAdmits(session, task)
  local holders, shut = unpack(redis.call('HMGET', SESSIONS .. session, 'holders', 'cancel_left'))
  if holders or shut then
    return holders == task.id
  end
  local first = redis.call('ZRANGE', SESSIONS .. session .. ':line', 0, 0)[1]
  return not first or first == task.id
end

local function batchHasRoom(batch)
  local max, shut = unpack(redis.call('HMGET', batch, 'max', 'cancel_left'))
  return not shut and redis.call('SCARD', batch .. ':holders') < tonumber(max)
end

local function batchAdmits(batch, task)
  if redis.call('SISMEMBER', batch .. ':holders', task.id) == 1 then
    return true
  end
  return batchHasRoom(batch)
end

-- Whether every line of the task lets it in; if so it is holders.
local function admitted(task)
  local session, batch = groupSession(task), batchKey(task)
  if (session and not sessionAdmits(session, task)) or (batch and not batchAdmits(batch, task)) then
    return false
  end
  stopWaiting(task)
  if session then
    redis.call('HSET', SESSIONS .. session, 'holders', task.id)
  end
  if batch then
    redis.call('SADD', batch .. ':holders', task.id)
  end
  return true
end

-- A task whose time has come stands in its lines: `ready` if they let it in, else `waiting`.
local function joinGroups(task)
  if admitted(task) then
    return 'ready'
  end
  local session, batch = groupSession(task), batchKey(task)
  -- A line is in order of this number.
  addMeta('lined', 1)
  if session then
    redis.call('ZADD', SESSIONS .. session .. ':line', count('lined'), task.id)
    redis.call('HINCRBY', SESSIONS .. session, 'w' .. task.header.priority, 1)
    local holders = sessionField(session, 'holders')
    local header = holders and load(holders)
    if header and (header.state == 'ready' or header.state == 'woken') and urgency(header) ~= (header.queue_priority or header.header.priority) then
      dequeue(header)
      putInQueue(header)
    end
  end
  if batch and (not session or sessionAdmits(session, task)) then
    redis.call('ZADD', batch .. ':line', count('lined'), task.id)
  end
  return 'waiting'
end

local function admit(task)
  move(task, 'ready')
  putInQueue(task)
end

-- The first task of a session without a running one is let in, or waits for its batch from now on.
local function admitToSession(session)
  local line = SESSIONS .. session .. ':line'
  while true do
    local holders, shut = unpack(redis.call('HMGET', SESSIONS .. session, 'holders', 'cancel_left'))
    local first = not holders and not shut and redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
    if not first or not first[1] then
      return
    end
    local task = load(first[1])
    if not task then
      -- Somebody has removed the task while it stood in line.
      redis.call('ZREM', line, first[1])
    elseif admitted(task) then
      admit(task)
    else
      redis.call('ZADD', batchKey(task) .. ':line', first[2], task.id)
      return
    end
  end
end

-- As many as there is room for. One that its session does not let in comes back when it does.
local function admitToBatch(batch)
  while batchHasRoom(batch) do
    local id = redis.call('ZRANGE', batch .. ':line', 0, 0)[1]
    if not id then
      return
    end
    local task = load(id)
    if task and admitted(task) then
      admit(task)
    else
      redis.call('ZREM', batch .. ':line', id)
    end
  end
end

local function leaveGroups(task)
  local session, batch = groupSession(task), batchKey(task)
  stopWaiting(task)
  if session and sessionField(session, 'holders') == task.id then
    redis.call('HDEL', SESSIONS .. session, 'holders')
  end
  if batch then
    redis.call('SREM', batch .. ':holders', task.id)
  end
  if session then
    admitToSession(session)
  end
  if batch then
    admitToBatch(batch)
  end
  if task.header.session_id then
    redis.call('ZREM', SESSIONS .. task.header.session_id .. ':live', task.id)
  end
end
