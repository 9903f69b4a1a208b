-- Creation of tasks. An item is {id, type, tail (the task's first line after `sequence`), priority, timeout, run_at?,
-- session?, agent?, budget?, parallel?, batch?, on_busy, message?, message_id?}.
--
-- @created  all tasks in order of submission, as "sequence deadline id id …"; deadline 0: it is in @due
-- @include events/events generated/rules scripts/due scripts/due_order scripts/tenant scripts/time
-- @include sessions/session tasks/groups tasks/task tasks/task_end tenants/allowed tenants/budget_periods
-- @include tenants/budgets tenants/tenant_summary

-- Why the tenant's settings do not admit a task, and when its budgets may.
local function limitOf(item)
  if not mayUse(meta.types, item.type) then
    return 'type_forbidden'
  end
  local till = exhaustedUntil(item.budget)
  if till then
    return 'budget_exceeded', till
  end
end

local function refusalOf(item)
  local status = item.session and sessionField(item.session, 'status')
  if status == 'closed' then
    return 'session_closed'
  end
  if status and item.on_busy == 'reject' and redis.call('ZCARD', SESSIONS .. item.session .. ':live') > 0 then
    return 'session_busy'
  end
  return limitOf(item)
end

-- The task alone, indexed, with its deadline; not yet counted, queued or in the event log.
local function create(item, payload)
  local sequence = count('seq') + 1
  local header = '{"at":' .. now .. ',"sequence":' .. sequence .. ',' .. item.tail
  local record = header .. '\n' .. payload
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
  redis.call('RPUSH', PREFIX .. '@created', sequence .. ' ' .. (inOrder and deadline or 0) .. ' ' .. item.id)
  if inOrder then
    setMeta('last_deadline', deadline)
    dueAt(deadline)
  else
    schedule('deadline', deadline, item.id)
  end
  tasks[item.id] = nil
  local task = load(item.id)
  task.rev = 0
  reserveBudget(task)
  return task
end

local function enterSession(task, item)
  if not item.session then
    return
  end
  openSession(item.session, item.agent, '{}')
  local holder = sessionField(item.session, 'holder')
  if item.on_busy == 'interrupt' and holder then
    cancelTask(load(holder), INTERRUPTED_TEXT, CANCEL_GRACE_MS)
  end
  redis.call('ZADD', SESSIONS .. item.session .. ':live', task.header.sequence, task.id)
  if item.message then
    local message = item.message:gsub('%$at', now, 1)
    addMessage(item.session, item.message_id, message)
  end
end

-- Stores a task and enters it in its concurrency groups.
local function store(item, payload)
  local task = create(item, payload)
  enterSession(task, item)
  if item.run_at and item.run_at > now then
    task.state, task.due = 'scheduled', item.run_at
    schedule('start', item.run_at, task.id)
  else
    task.state = joinGroups(task)
  end
  addMeta('pending', 1)
  emit(task, TASK_CREATED, item.data)
  if task.state == 'ready' then
    putInQueue(task)
  end
  return task
end
