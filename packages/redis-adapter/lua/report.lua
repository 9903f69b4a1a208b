-- A notification of a service. Look-ups never leave the tenant.
--
-- @args   a report (see reports), as JSON · its bytes · id to know it by if it has none
-- @return answer, task id or held id
--@include time tenant state task trim waiting events due rotation system ready session lines steps held calls ending cancelling usage outcomes reports repeats
local HELD_LIVES, MAX_HELD, MAX_HELD_BYTES = $heldFrameMs, $maxHeldFrames, $maxHeldBytes
local report, bytes = cjson.decode(ARGV[2]), tonumber(ARGV[3])
local found = findCall(report)
if found then
  local nameless = report.status and not report.message and not report.seq
  if nameless and wasMade(ARGV[4]) then
    return finish({ 'duplicate', found.task.id })
  end
  local answer = applyReport(found, report)
  if nameless and answer == 'applied' then
    noteChange(ARGV[4])
  end
  dismissHeld(report.service)
  return finish({ answer, found.task.id })
end
-- A call is stored before it is made: one that is not known by its id never will be.
if report.call or redis.call('HEXISTS', SENDING, report.service) == 0 then
  return finish({ 'unknown_task' })
end
local message = report.message or ARGV[4]
local field = messageField(report.service, report.job, message)
local known = redis.call('HGET', PREFIX .. '@held_messages', field)
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
  service = report.service, job = report.job, message = message, bytes = bytes,
}))
redis.call('HSET', HELD_REPORTS, id, ARGV[2])
redis.call('RPUSH', waiting, id)
redis.call('HINCRBY', PREFIX .. '@held_bytes', report.service, bytes)
redis.call('HSET', PREFIX .. '@held_messages', field, id)
owe('held', now + HELD_LIVES, id)
return finish({ 'held', id })
