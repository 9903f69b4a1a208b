-- Stores a task without a workflow: tracked, never queued.
--
-- @args   {task: an item (see creation), call?: {id, service, operation, job?, silence?}, max_waiting: of tasks that have
--         not ended} · its payload
-- @return registered or replayed, the task, seq · or a refusal
-- @intake
-- @include events/epoch events/events generated/rules journal/steps scripts/system scripts/tenant scripts/time
-- @include tasks/creation tasks/intake tasks/task tenants/allowed tenants/budget_periods tenants/budgets
-- @include tenants/call_rates
local params = cjson.decode(ARGV[2])
local item, call = params.task, params.call
if load(item.id) then
  return finish({ 'replayed', view(item.id), count('seq'), epochOfLog() })
end
if isFull(count('processing') + 1, params.max_waiting) then
  return finish({ 'queue_full' })
end

-- A child task is bound by the budgets of its parents, another by those of the tenant.
local function refusal()
  if not call and not mayUse(meta.types, item.type) then
    return 'type_forbidden'
  elseif call and not mayUse(meta.services, call.service) then
    return 'service_forbidden'
  end
  local parent = item.parent and load(item.parent)
  if parent and isBudgetSpent(parent) then
    return 'task_budget_exceeded'
  elseif parent and not isFinal(parent) then
    -- What a live task does was admitted with it.
    return nil
  end
  local till = exhaustedUntil(item.budget)
  if till then
    return 'budget_exceeded', till
  end
end
local refused, till = refusal()
if refused then
  return finish({ refused, till })
end
local wait, taken = 0, nil
if call then
  wait, taken = takeCall(call.service, call.operation, 0)
end
if wait > 0 then
  return finish({ 'rate_limited', wait })
end

local task = create(item, ARGV[3])
task.state, task.attempt, task.began = 'tracked', 1, now
addMeta('processing', 1)
if call then
  local step = {
    key = call.id, at = 0, kind = 'call', name = call.service .. '.' .. call.operation, rev = 0, tries = 1,
    service = call.service, operation = call.operation, silence = call.silence,
    calls = { { id = call.id, state = call.job and 'waiting' or 'sending', job = call.job, delay = 0, taken = taken } },
  }
  redis.call('HSET', CALLS, call.id, task.id .. ' ' .. call.service .. ' ' .. call.id)
  if call.job then
    redis.call('HSET', JOBS, call.service .. '\n' .. call.job, call.id)
    if call.silence then
      scheduleSilence(task, step, step.calls[1])
    end
  else
    redis.call('HINCRBY', SENDING, call.service, 1)
  end
  saveStep(task, step)
end
emit(task, TASK_CREATED, item.data)
emit(task, TASK_STARTED, '{"attempt":1}')
local saved = finish(false)
saved[1] = { 'registered', view(item.id), count('seq'), epochOfLog() }
return saved
