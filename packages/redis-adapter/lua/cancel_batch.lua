-- Cancels every task of a batch that has not ended, a portion each time.
--
-- @args   {id, reason, grace, further: another step of the same cancellation}
-- @return answer, whether some are left
--@include time tenant state task trim waiting events due rotation system ready session groups steps held calls ending cancelling types creation batches
local params = cjson.decode(ARGV[2])
local batch = PREFIX .. '@batch:' .. params.id
if redis.call('EXISTS', batch) == 0 then
  return finish({ 'not_found' })
end
local isFirst = false
if not params.further then
  isFirst = beginCancelling('batch', params.id, itemsOf(batch), params.reason, params.grace)
end
createSome(params.id)
local more = goOnCancelling('batch', params.id, isFirst)
return finish({ 'cancelled', more })
