-- Stores a batch of any kind and its tasks; only a first portion where the items are staged or too much work for a step, see
-- batches.
--
-- @args   {id, max, fail_fast, items (number), staged?, key?, fingerprint?, max_waiting} · the items, unless they are staged
-- @return submitted or replayed, batch id · or a refusal, which is `not_staged` when items are missing
-- @intake
-- @include generated/rules scripts/due scripts/system scripts/tenant scripts/time tasks/batches tasks/idempotency
-- @include tasks/intake
local params = cjson.decode(ARGV[2])
local batch = PREFIX .. '@batch:' .. params.id
local isStored = redis.call('EXISTS', batch) == 1
local answer = known(params, 'batch') or (isStored and { 'replayed', params.id })
  or (isFull(params.items, params.max_waiting) and { 'queue_full' })
if answer then
  if not isStored then
    redis.call('UNLINK', batch .. ':staged')
  end
  return finish(answer)
end
if params.staged and not takeStaged(batch, params.items) then
  return finish({ 'not_staged' })
end
redis.call('HSET', batch, 'max', params.max, 'fail_fast', params.fail_fast and 1 or 0, 'created', now)
schedule('batch', now + RETENTION_MS, params.id)
local isLeft
if params.staged then
  isLeft = createPortion(params.id)
else
  isLeft = addFirst(batch, ARGV, 2)
end
if isLeft then
  schedule('staged', now + CREATOR_TIMEOUT, params.id)
end
remember(PREFIX, params, 'batch ' .. params.id)
return finish({ 'submitted', params.id })
