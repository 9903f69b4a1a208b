-- Notifications that came before the answer which names their job.
--
-- @held  id -> JSON {service, job, message?, bytes, answer?, task?} · @held_reports  id -> its parameters, which are large,
-- until it is decided
-- @held:<service>  ids of those that wait, oldest first · @held_messages  service, job and message -> id
-- @held_bytes  service -> bytes of those that wait
local HELD, HELD_REPORTS = PREFIX .. '@held', PREFIX .. '@held_reports'

local function messageField(service, job, message)
  return service .. '\n' .. job .. '\n' .. message
end

local function decideHeld(id, held, answer, taskId)
  redis.call('LREM', PREFIX .. '@held:' .. held.service, 1, id)
  if redis.call('HINCRBY', PREFIX .. '@held_bytes', held.service, -held.bytes) <= 0 then
    redis.call('HDEL', PREFIX .. '@held_bytes', held.service)
  end
  if held.message then
    redis.call('HDEL', PREFIX .. '@held_messages', messageField(held.service, held.job, held.message))
  end
  held.answer, held.task = answer, taskId
  redis.call('HDEL', HELD_REPORTS, id)
  redis.call('HSET', HELD, id, cjson.encode(held))
end

-- Once no call of a service is unanswered, nothing can explain its early frames any more.
local function dismissHeld(service)
  if redis.call('HEXISTS', SENDING, service) == 1 then
    return
  end
  for _, id in ipairs(redis.call('LRANGE', PREFIX .. '@held:' .. service, 0, -1)) do
    decideHeld(id, cjson.decode(redis.call('HGET', HELD, id)), 'unknown_task')
  end
end
