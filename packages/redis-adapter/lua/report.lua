-- A notification of a service. Look-ups never leave the tenant.
--
-- @args   a report (see reports), as JSON · its bytes · id to hold it by
-- @return answer, task id or held id
--@include tenant task events due rotation system ready session lines steps held calls ending usage outcomes reports
local HELD_LIVES, MAX_HELD, MAX_HELD_BYTES = $heldFrameMs, $maxHeldFrames, $maxHeldBytes
local report, bytes = cjson.decode(ARGV[2]), tonumber(ARGV[3])
local found = findCall(report)
if found then
  local answer = applyReport(found, report)
  dismissHeld(report.service)
  return finish({ answer, found.task.id })
end
-- A call is stored before it is made: one that is not known by its id never will be.
if report.call or redis.call('HEXISTS', SENDING, report.service) == 0 then
  return finish({ 'unknown_task' })
end
local field = report.message and messageField(report.service, report.job, report.message)
local known = field and redis.call('HGET', PREFIX .. '@held_messages', field)
if known then
  return finish({ 'held', known })
end
local waiting = PREFIX .. '@held:' .. report.service
local size = tonumber(redis.call('HGET', PREFIX .. '@held_bytes', report.service)) or 0
if redis.call('LLEN', waiting) >= MAX_HELD or size + bytes > MAX_HELD_BYTES then
  return finish({ 'retry_later' })
end
local id = ARGV[4]
redis.call('HSET', HELD, id, cjson.encode({
  service = report.service, job = report.job, message = report.message, bytes = bytes, report = ARGV[2],
}))
redis.call('RPUSH', waiting, id)
redis.call('HINCRBY', PREFIX .. '@held_bytes', report.service, bytes)
if field then
  redis.call('HSET', PREFIX .. '@held_messages', field, id)
end
owe('held', now + HELD_LIVES, id)
return finish({ 'held', id })
