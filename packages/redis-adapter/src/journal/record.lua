-- Records an answer: of a service, or of the host's own work. Without a token: for a registered task. `create` makes the step
-- of own work, unless the journal has it.
--
-- @args   {id, token?, journal_rev, key, call?, answer: {job} or an outcome (see outcomes), create?: {name, max_steps}} · its
--         result, as JSON
-- @return answer, changes; `step_mismatch` with the name of the step that the journal has
-- @include journal/call_usage journal/calls journal/early_reports journal/outcomes journal/reports journal/steps scripts/system tasks/task
local params = cjson.decode(ARGV[2])
withResult(params.answer, ARGV[3])
local task
if params.token then
  task = leased(params.id, params.token)
else
  task = load(params.id)
  task = task and task.state == 'tracked' and task or nil
end
local step, create = task and getStep(task, params.key), params.create
if not task or not (step or create) then
  -- What a call has used counts, though its worker has lost the task.
  local found = params.call and callById(params.call)
  if not task and found and found.task.id == params.id then
    countUsage(found, params.answer)
  end
  return finish({ 'lease_lost' })
end
if not step then
  step = newStep(task, create.max_steps, { key = params.key, kind = 'run', name = create.name, tries = 1 })
elseif create and (step.kind ~= 'run' or step.name ~= create.name) then
  return finish({ 'step_mismatch', step.name })
end
if not step then
  return finish({ 'too_many_steps' })
end

-- Applies the early reports of a job that the service has just named, in order of arrival.
local function applyHeld(job)
  local _, reports = early.keys(step.service)
  for _, id in ipairs(early.ofJob(step.service, job)) do
    local report = reportOf(redis.call('HGET', reports, id))
    local found = findCall(report)
    if found then
      early.decide(id, early.find(id), applyReport(found, report), found.task.id)
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
    early.dismiss(step.service)
  end
end
local saved = finish(false)
saved[1] = { word, changesSince(task, params.journal_rev) }
return saved
