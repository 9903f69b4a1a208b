-- Cancels the tasks of a batch that have not ended, a portion a call.
--
-- @args   {id, reason, grace, further: true for a later step of the same cancellation}
-- @return answer, whether some are left
-- @include scripts/system scripts/tenant tasks/batches tasks/cancellation
local params = cjson.decode(ARGV[2])
local batch = PREFIX .. '@batch:' .. params.id
if redis.call('EXISTS', batch) == 0 then
  return finish({ 'not_found' })
end
local isFirst = false
if not params.further then
  isFirst = beginCancelling('batch', params.id, itemsOf(batch), params.reason, params.grace)
end
createPortion(params.id)
local more = continueCancelling('batch', params.id, isFirst)
return finish({ 'cancelled', more })
