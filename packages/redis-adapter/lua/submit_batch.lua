-- Stores a batch and all its tasks, whatever they are.
--
-- @args   {id, max, fail_fast, items: [an item (see creation), or {error}…], taken (the error of an item whose id is that of
--         another task), key?, fingerprint?, max_waiting} · payloads
-- @return submitted or replayed, batch id · or why not
--@intake
--@include time tenant epoch state task trim waiting events due rotation system ready session lines steps held calls ending cancelling types idempotency creation
local params = cjson.decode(ARGV[2])
local answer = known(params, 'batch')
if answer then
  return finish(answer)
end
local batch = PREFIX .. '@batch:' .. params.id
if redis.call('EXISTS', batch) == 1 then
  return finish({ 'replayed', params.id })
end
if isFull(#params.items, params.max_waiting) then
  return finish({ 'queue_full' })
end
redis.call('HSET', batch, 'max', params.max, 'fail_fast', params.fail_fast and 1 or 0, 'created', now)
owe('batch', now + RETENTION_OF_BATCHES, params.id)
for at, item in ipairs(params.items) do
  local taken = not item.error and redis.call('EXISTS', PREFIX .. item.id) == 1
  local refusal = not item.error and not taken and refusalOf(item)
  if item.error or taken or refusal then
    redis.call('RPUSH', batch .. ':items', item.error or taken and params.taken or item.refusals[refusal])
  else
    redis.call('RPUSH', batch .. ':items', item.id)
    store(item, ARGV[2 + at])
  end
end
remember(PREFIX, params, 'batch ' .. params.id)
return finish({ 'submitted', params.id })
