-- A notification of a service. Look-ups never leave the tenant.
--
-- @args   a report as text (see reports) · its bytes · fallback id
-- @return answer, task id or held id
-- @include generated/rules journal/early_reports journal/reports journal/steps scripts/applied_changes scripts/due
-- @include scripts/system scripts/time
local report, bytes = reportOf(ARGV[2]), tonumber(ARGV[3])
local found = findCall(report)
if found then
  local nameless = report.status and not report.message and not report.seq
  if nameless and wasApplied(ARGV[4]) then
    return finish({ 'duplicate', found.task.id })
  end
  local answer = applyReport(found, report)
  if nameless and answer == 'applied' then
    rememberChange(ARGV[4])
  end
  early.dismiss(report.service)
  return finish({ answer, found.task.id })
end
-- A call is stored before it is made: an unknown call id stays unknown.
if report.call or redis.call('HEXISTS', SENDING, report.service) == 0 then
  return finish({ 'unknown_task' })
end
local held = { service = report.service, job = report.job, message = report.message or ARGV[4], bytes = bytes }
local waiting, _, messages = early.keys(held.service)
local known = redis.call('HGET', messages, held.job .. '\n' .. held.message)
if known then
  return finish({ 'held', known })
end
local frames, ofJob, all = early.sizes(held.service, held.job)
if frames >= MAX_HELD_FRAMES_OF_JOB or (frames > 0 and ofJob + bytes > MAX_HELD_BYTES_OF_JOB) then
  return finish({ 'retry_later' })
end
if redis.call('LLEN', waiting) >= MAX_HELD_FRAMES or all + bytes > MAX_HELD_BYTES then
  return finish({ 'retry_later' })
end
early.hold(ARGV[4], held, ARGV[2])
schedule('held', now + HELD_FRAME_MS, ARGV[4])
return finish({ 'held', ARGV[4] })
