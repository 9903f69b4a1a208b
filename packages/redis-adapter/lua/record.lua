-- Records an answer: of a service, or of the host's own work. Without a token: for a task that is registered.
--
-- @args   {id, token?, seen, key, call?, answer: {job} or an outcome (see outcomes)}
-- @return answer, news
--@include time tenant state task trim waiting events due rotation system ready session lines steps held calls ending cancelling usage outcomes reports
local params = cjson.decode(ARGV[2])
local task
if params.token then
  task = leased(params.id, params.token)
else
  task = load(params.id)
  task = task and task.state == 'tracked' and task or nil
end
local step = task and getStep(task, params.key)
if not step then
  return finish({ 'lease_lost' })
end

-- Early frames that named the job which the service has now told us of, in the order in which they came.
local function applyHeld(job)
  for _, id in ipairs(redis.call('LRANGE', PREFIX .. '@held:' .. step.service, 0, -1)) do
    local held = cjson.decode(redis.call('HGET', HELD, id))
    local report = held.job == job and cjson.decode(redis.call('HGET', HELD_REPORTS, id))
    local found = report and findCall(report)
    if found then
      decideHeld(id, held, applyReport(found, report), found.task.id)
    end
  end
end

local word = 'known'
if not params.call then
  if not step.ended and not params.answer.job then
    settleStep(task, step, params.answer.json, params.answer.ok)
    word = 'recorded'
  end
else
  local _, call = callOf(task, params.key, params.call)
  if call then
    word = answerCall(task, step, call, params.answer)
    if params.answer.job then
      applyHeld(params.answer.job)
    end
    dismissHeld(step.service)
  end
end
local saved = finish(false)
saved[1] = { word, newsOf(task, params.seen) }
return saved
