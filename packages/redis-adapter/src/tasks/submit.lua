-- Stores one task with its message, its session and its groups, and emits its event.
--
-- @args   {task: an item (see creation), key?, fingerprint?, max_waiting} · its payload
-- @return submitted or replayed, the task, seq · or a refusal
-- @intake
-- @include events/epoch scripts/system scripts/tenant tasks/creation tasks/idempotency tasks/intake tasks/task
local params = cjson.decode(ARGV[2])
local answer = known(params, 'task')
if answer then
  return finish(answer)
end
local item = params.task
local same = load(item.id)
if same then
  return finish(same.header.type == item.type and { 'replayed', view(item.id), count('seq'), epochOfLog() } or { 'conflict' })
end
if isFull(1, params.max_waiting) then
  return finish({ 'queue_full' })
end
local refusal, till = refusalOf(item)
if refusal then
  return finish({ refusal, till })
end
store(item, ARGV[3])
remember(PREFIX, params, 'task ' .. item.id)
local saved = finish(false)
saved[1] = { 'submitted', view(item.id), count('seq'), epochOfLog() }
return saved
