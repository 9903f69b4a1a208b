-- Cancels every task of a batch that has not ended, a portion each time.
--
-- @args   {id, reason, grace, further: another step of the same cancellation}
-- @return answer, whether some are left
--@include time tenant state task trim waiting events due rotation system ready session lines steps held ending cancelling
local params = cjson.decode(ARGV[2])
local batch = PREFIX .. '@batch:' .. params.id
if redis.call('EXISTS', batch) == 0 then
  return finish({ 'not_found' })
end
local isFirst = false
if not params.further then
  local items = string.format('%d', redis.call('LLEN', batch .. ':items'))
  isFirst = beginCancelling('batch', params.id, items, params.reason, params.grace)
end
local more = goOnCancelling('batch', params.id, isFirst)
return finish({ 'cancelled', more })
