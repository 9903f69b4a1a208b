-- A dead letter as a new task, with the successes of the old journal. Again is the same new task.
--
-- @args   {id, task: an item (see creation) with the new id, max_waiting} · its payload
-- @return answer, the new task
--@include time tenant epoch state task trim waiting events due rotation system ready session lines steps held ending cancelling types idempotency intake creation
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
-- The outcomes are copied by the server: here each would be read and written.
local outcomes, last, bytes, kept = PREFIX .. task.id .. ':outcomes', 0, old.bytes or 0, {}
redis.call('COPY', PREFIX .. old.id .. ':outcomes', outcomes)
for _, step in ipairs(allSteps(old)) do
  if step.ended and not step.failed then
    step.calls, step.era = nil, -1
    kept[#kept + 1] = step
    last = math.max(last, step.changed)
  else
    bytes = bytes - redis.call('HSTRLEN', outcomes, step.key)
    redis.call('HDEL', outcomes, step.key)
  end
end
saveSteps(task, kept)
if bytes > 0 then
  addJournal(task, bytes)
end
-- The changes keep their places.
for from = 1, last, CHANGES_AT_ONCE do
  local to = math.min(from + CHANGES_AT_ONCE - 1, last)
  local keys = redis.call('LRANGE', PREFIX .. old.id .. ':changes', from - 1, to - 1)
  for place, key in ipairs(keys) do
    local step = key ~= '' and getStep(task, key)
    keys[place] = step and step.changed == from + place - 1 and key or ''
  end
  redis.call('RPUSH', PREFIX .. task.id .. ':changes', unpack(keys))
end
task.made, task.inherited = old.made, last
local saved = finish(false)
saved[1] = { 'redriven', view(task.id) }
return saved
