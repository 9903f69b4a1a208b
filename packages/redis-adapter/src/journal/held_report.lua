-- The fate of a notification that was held.
--
-- @args   held id
-- @return answer, task id; nothing when it is not known
-- @reads
-- @include scripts/tenant
local text = redis.call('HGET', PREFIX .. '@held', ARGV[2])
if not text then
  return false
end
-- JSON while it is held, see early_reports.
local answer, taskId = text:match('^([a-z_]+) ?(%S*)$')
return { answer or 'held', answer and taskId ~= '' and taskId or false }
