-- A dead letter as a new task, with the successes of the old journal. Again is the same new task.
--
-- @args   {id, task: an item (see creation) with the new id, max_waiting} · its payload
-- @return answer, the new task
--@include time tenant epoch state task trim waiting events due rotation system ready session lines steps held ending cancelling types idempotency creation
local params = cjson.decode(ARGV[2])
local old = load(params.id)
if not old then
  return finish({ 'not_found' })
end
if old.state ~= 'failed' or not old.began then
  return finish({ 'not_failed' })
end
if old.redriven and load(old.redriven) then
  return finish({ 'redriven', view(old.redriven) })
end
if isFull(1, params.max_waiting) then
  return finish({ 'queue_full' })
end
old.redriven = params.task.id
local task = store(params.task, ARGV[3])
task.began, task.version, task.seed = old.began, old.version, old.seed or old.id
local last = 0
for _, step in ipairs(allSteps(old)) do
  local outcome = redis.call('HGET', PREFIX .. old.id .. ':outcomes', step.key)
  if outcome and outcome:sub(1, 10) == '{"ok":true' then
    redis.call('HSET', PREFIX .. task.id .. ':outcomes', step.key, outcome)
    step.calls, step.era = nil, -1
    addJournal(task, #outcome)
    saveStep(task, step)
    last = math.max(last, step.changed)
  end
end
-- The changes keep their places.
for at = 1, last do
  local key = redis.call('LINDEX', PREFIX .. old.id .. ':changes', at - 1)
  local step = key and key ~= '' and getStep(task, key)
  redis.call('RPUSH', PREFIX .. task.id .. ':changes', step and step.changed == at and key or '')
end
task.made, task.inherited = old.made, last
local saved = finish(false)
saved[1] = { 'redriven', view(task.id) }
return saved
