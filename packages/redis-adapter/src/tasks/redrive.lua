-- Replaces a dead letter by a new task, with the successes of the old journal. A repeat returns the same new task, as long as
-- it is kept. A journal
-- that is too large for one step is copied before, see staging.
--
-- @args   {id, task: an item (see creation) with the new id, max_waiting} · its payload
-- @return answer, the new task · or staging: some of the journal is still to be copied
-- @intake
-- @include scripts/system tasks/creation tasks/intake tasks/staging tasks/task
local params = cjson.decode(ARGV[2])
local old = load(params.id)
if not old then
  return finish({ 'not_found' })
end
if old.state ~= 'failed' or not old.began then
  return finish({ 'not_failed' })
end
if old.redriven then
  -- A new task that has ended and is no longer kept: what it has done is not to be done again.
  return finish(load(old.redriven) and { 'redriven', view(old.redriven) } or { 'not_failed' })
end
if isFull(1, params.max_waiting) then
  return finish({ 'queue_full' })
end
local refusal, till = limitOf(params.task)
if refusal then
  return finish({ refusal, till })
end
if not stagePortion(old) then
  return finish({ 'staging' })
end
old.redriven = params.task.id
local task = store(params.task, ARGV[3])
task.began, task.version, task.seed = old.began, old.version, old.seed or old.id
task.step_count, task.inherited = old.step_count, takeStagedJournal(old, task)
local saved = finish(false)
saved[1] = { 'redriven', view(task.id) }
return saved
