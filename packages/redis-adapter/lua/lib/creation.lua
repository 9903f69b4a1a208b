-- How tasks come to be. An item is {id, type, tail (the task's first line after `place`), priority, timeout, run_at?,
-- session?, agent?, parallel?, batch?, on_busy, message?, message_id?}.
--
-- @made  all tasks in the order of their submission, as "place deadline id id …"; deadline 0: it is in @due
local RETENTION_OF_BATCHES = $retentionMs

local function refusalOf(item)
  local status = item.session and sessionField(item.session, 'status')
  if status == 'closed' then
    return 'session_closed'
  end
  if status and item.on_busy == 'reject' and redis.call('ZCARD', SESSIONS .. item.session .. ':live') > 0 then
    return 'session_busy'
  end
end

-- The bare task, indexed, with its deadline; not yet counted, queued or told of.
local function create(item, payload)
  local place = count('seq') + 1
  local head = '{"at":' .. now .. ',"place":' .. place .. ',' .. item.tail
  local record = head .. '\n' .. payload
  redis.call('SET', PREFIX .. item.id, record)
  addStored(#record)
  local unended = count('pending') + count('processing')
  local type, large = onlyType(meta.type, unended, item.type), anyLarge(meta.large, unended, #record)
  if type ~= meta.type then
    setMeta('type', type)
  end
  if large ~= (meta.large or '0') then
    setMeta('large', large)
  end
  local deadline = math.max(now, item.run_at or 0) + item.timeout
  local inOrder = deadline >= count('last_deadline') and deadline <= now + LONGEST_IN_ORDER
  redis.call('RPUSH', PREFIX .. '@made', place .. ' ' .. (inOrder and deadline or 0) .. ' ' .. item.id)
  if inOrder then
    setMeta('last_deadline', deadline)
    dueAt(deadline)
  else
    owe('deadline', deadline, item.id)
  end
  tasks[item.id] = nil
  local task = load(item.id)
  task.rev = 0
  return task
end

local function enterSession(task, item)
  if not item.session then
    return
  end
  openSession(item.session, item.agent, '{}')
  local inside = sessionField(item.session, 'inside')
  if item.on_busy == 'interrupt' and inside then
    cancelTask(load(inside), 'interrupted by a newer message', GRACE)
  end
  redis.call('ZADD', SESSIONS .. item.session .. ':live', task.head.place, task.id)
  if item.message then
    local message = item.message:gsub('%$at', now, 1)
    addMessage(item.session, item.message_id, message)
  end
end

-- Stores a task and lets it stand in its lines.
local function store(item, payload)
  local task = create(item, payload)
  enterSession(task, item)
  if item.run_at and item.run_at > now then
    task.state, task.due = 'scheduled', item.run_at
    owe('start', item.run_at, task.id)
  else
    task.state = standInLine(task)
  end
  addMeta('pending', 1)
  emit(task, 'c', item.data)
  if task.state == 'ready' then
    putInQueue(task)
  end
  return task
end
