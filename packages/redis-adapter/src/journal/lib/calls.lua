-- Calls by id. @calls  call id -> task id, service and key of the step
-- @include journal/steps scripts/tenant tasks/task
local function callOf(task, key, id)
  local step = getStep(task, key)
  for _, call in ipairs(step and step.calls or {}) do
    if call.id == id then
      return step, call
    end
  end
end

-- Task, step, call and service of a call id. After a new attempt has dropped the step, its calls are still known, without
-- effect.
local function callById(id)
  local where = redis.call('HGET', CALLS, id)
  if not where then
    return nil
  end
  local taskId, service, key = where:match('^(%S+) (%S+) (.*)$')
  local task = load(taskId)
  if not task then
    return nil
  end
  local step, call = callOf(task, key, id)
  if not call then
    local dropped = redis.call('HGET', PREFIX .. taskId .. ':dropped', id)
    if not dropped then
      return nil
    end
    call = cjson.decode(dropped)
  end
  return { task = task, step = step, call = call, service = service }
end
