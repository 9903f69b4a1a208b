-- Replaces a dead letter by a new task, with the successes of the old journal, or anew with another payload. A repeat returns
-- the same new task, as long as it is kept. A journal that is too large for one step is copied before, see staging.
--
-- @args   {id, task: an item (see creation) with the new id, max_waiting, anew?} · its payload
-- @return answer, the new task · or staging: some of the journal is still to be copied
-- @intake
-- @include scripts/system scripts/tenant tasks/creation tasks/intake tasks/staging tasks/task
local params = cjson.decode(ARGV[2])
local old = load(params.id)
if not old then
  return finish({ 'not_found' })
end
if old.state ~= 'failed' or not old.began then
  return finish({ 'not_failed' })
end
if old.redriven then
  local record = redis.call('GET', PREFIX .. old.redriven)
  if not record then
    -- A new task that has ended and is no longer kept: what it has done is not to be done again.
    return finish({ 'not_failed' })
  end
  local isOther = params.anew and record:sub(record:find('\n', 1, true) + 1) ~= ARGV[3]
  return finish(isOther and { 'other_payload' } or { 'redriven', view(old.redriven) })
end
if isFull(1, params.max_waiting) then
  return finish({ 'queue_full' })
end
local refusal, till = limitOf(params.task)
if refusal then
  return finish({ refusal, till })
end
if not params.anew and not stagePortion(old) then
  return finish({ 'staging' })
end
old.redriven = params.task.id
local task = store(params.task, ARGV[3])
if not params.anew then
  task.began, task.version, task.seed = old.began, old.version, old.seed or old.id
  task.step_count, task.inherited = old.step_count, takeStagedJournal(old, task)
end
local saved = finish(false)
saved[1] = { 'redriven', view(task.id) }
return saved
