-- Concurrency groups: tasks of a session (one at a time, in order), and of a batch (at most `max` at a time). A task in a
-- group is a holder or waits. With a session and a batch it waits for the session first: it enters the batch's queue once it
-- is the first of its session and only the batch has no room. So the next holder is always found at once.
--
-- @batch:<id>  max, fail_fast, created; see also cancellation · …:items  task ids, or errors as JSON · …:holders
-- …:queue  tasks that wait for the batch, in their order
-- …:gone  task id -> the state in which a task ended that is no longer kept
-- While tasks of a batch are staged, its hash has their number in `total`, see batches.
-- @include queue/ready scripts/tenant sessions/session tasks/task
local function isStaged(batch)
  return redis.call('HEXISTS', batch, 'total') == 1
end

local function batchKey(task)
  return task.header.batch_id and PREFIX .. '@batch:' .. task.header.batch_id
end

local function groupSession(task)
  return not task.header.parallel and task.header.session_id
end

-- Queue priority of a session's holder: its own, or that of a more urgent task behind it.
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
  if session and redis.call('ZREM', SESSIONS .. session .. ':queue', task.id) > 0 then
    redis.call('HINCRBY', SESSIONS .. session, 'w' .. task.header.priority, -1)
  end
  if batch then
    redis.call('ZREM', batch .. ':queue', task.id)
  end
end

local function sessionAdmits(session, task)
  local group = hmget(SESSIONS .. session, 'holder', 'cancel_left')
  if group.holder or group.cancel_left then
    return group.holder == task.id
  end
  local first = redis.call('ZRANGE', SESSIONS .. session .. ':queue', 0, 0)[1]
  return not first or first == task.id
end

local function batchHasRoom(batch)
  local group = hmget(batch, 'max', 'cancel_left')
  return not group.cancel_left and redis.call('SCARD', batch .. ':holders') < tonumber(group.max)
end

local function batchAdmits(batch, task)
  if redis.call('SISMEMBER', batch .. ':holders', task.id) == 1 then
    return true
  end
  return batchHasRoom(batch)
end

-- Whether every group admits the task; then it becomes a holder.
local function admitted(task)
  local session, batch = groupSession(task), batchKey(task)
  if (session and not sessionAdmits(session, task)) or (batch and not batchAdmits(batch, task)) then
    return false
  end
  stopWaiting(task)
  if session then
    redis.call('HSET', SESSIONS .. session, 'holder', task.id)
  end
  if batch then
    redis.call('SADD', batch .. ':holders', task.id)
  end
  return true
end

-- A due task enters its groups: `ready` if they admit it, else `waiting`.
local function joinGroups(task)
  if admitted(task) then
    return 'ready'
  end
  local session, batch = groupSession(task), batchKey(task)
  -- Order of the queues.
  addMeta('group_sequence', 1)
  if session then
    redis.call('ZADD', SESSIONS .. session .. ':queue', count('group_sequence'), task.id)
    redis.call('HINCRBY', SESSIONS .. session, 'w' .. task.header.priority, 1)
    local holder = sessionField(session, 'holder')
    local holderTask = holder and load(holder)
    if holderTask and (holderTask.state == 'ready' or holderTask.state == 'woken') and urgency(holderTask) ~= (holderTask.queue_priority or holderTask.header.priority) then
      dequeue(holderTask)
      putInQueue(holderTask)
    end
  end
  if batch and (not session or sessionAdmits(session, task)) then
    redis.call('ZADD', batch .. ':queue', count('group_sequence'), task.id)
  end
  return 'waiting'
end

local function admit(task)
  move(task, 'ready')
  putInQueue(task)
end

-- The first task of a session without a holder is admitted, or waits for its batch from now on.
local function admitToSession(session)
  local queue = SESSIONS .. session .. ':queue'
  while true do
    local group = hmget(SESSIONS .. session, 'holder', 'cancel_left')
    local first = not group.holder and not group.cancel_left and redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
    if not first or not first[1] then
      return
    end
    local task = load(first[1])
    if not task then
      -- The task was removed from outside while it waited.
      redis.call('ZREM', queue, first[1])
    elseif admitted(task) then
      admit(task)
    else
      redis.call('ZADD', batchKey(task) .. ':queue', first[2], task.id)
      return
    end
  end
end

-- As many as there is room for. A task that its session does not admit returns when it does.
local function admitToBatch(batch)
  while batchHasRoom(batch) do
    local id = redis.call('ZRANGE', batch .. ':queue', 0, 0)[1]
    if not id then
      return
    end
    local task = load(id)
    if task and admitted(task) then
      admit(task)
    else
      redis.call('ZREM', batch .. ':queue', id)
    end
  end
end

local function leaveGroups(task)
  local session, batch = groupSession(task), batchKey(task)
  stopWaiting(task)
  if session and sessionField(session, 'holder') == task.id then
    redis.call('HDEL', SESSIONS .. session, 'holder')
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
