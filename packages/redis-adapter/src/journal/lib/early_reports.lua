-- Early reports: notifications that arrived before the answer that names their job. Their number and bytes have limits, see
-- report: those of a job are few enough to be applied in the step that names it, and those of a service to be dismissed in
-- one.
--
-- @held  id -> JSON {service, job, message, bytes} while held, then its fate: the answer, and its task if any
-- @held:<service>           "id job" of those held, oldest first
-- @held_reports:<service>   id -> the report as text (see reports), which may be large
-- @held_messages:<service>  job and message -> id
-- @held_sizes:<service>     bytes, and for each job "frames <job>" and "bytes <job>"
-- @include journal/steps scripts/tenant
local HELD = PREFIX .. '@held'

local early = {}

function early.keys(service)
  return HELD .. ':' .. service, HELD .. '_reports:' .. service, HELD .. '_messages:' .. service, HELD .. '_sizes:' .. service
end

-- Number and bytes of the job's reports, and the bytes of all held.
function early.sizes(service, job)
  local _, _, _, sizes = early.keys(service)
  local found = redis.call('HMGET', sizes, 'frames ' .. job, 'bytes ' .. job, 'bytes')
  return tonumber(found[1]) or 0, tonumber(found[2]) or 0, tonumber(found[3]) or 0
end

function early.charge(sizes, job, frames, bytes)
  if redis.call('HINCRBY', sizes, 'frames ' .. job, frames) <= 0 then
    redis.call('HDEL', sizes, 'frames ' .. job, 'bytes ' .. job)
  else
    redis.call('HINCRBY', sizes, 'bytes ' .. job, bytes)
  end
  if redis.call('HINCRBY', sizes, 'bytes', bytes) <= 0 then
    redis.call('UNLINK', sizes)
  end
end

function early.hold(id, held, report)
  local waiting, reports, messages, sizes = early.keys(held.service)
  redis.call('HSET', HELD, id, cjson.encode(held))
  redis.call('RPUSH', waiting, id .. ' ' .. held.job)
  redis.call('HSET', reports, id, report)
  redis.call('HSET', messages, held.job .. '\n' .. held.message, id)
  early.charge(sizes, held.job, 1, held.bytes)
end

-- Only while it is held.
function early.find(id)
  local text = redis.call('HGET', HELD, id)
  return text and text:sub(1, 1) == '{' and cjson.decode(text) or nil
end

function early.decide(id, held, answer, taskId)
  local waiting, reports, messages, sizes = early.keys(held.service)
  redis.call('LREM', waiting, 1, id .. ' ' .. held.job)
  redis.call('HDEL', reports, id)
  redis.call('HDEL', messages, held.job .. '\n' .. held.message)
  early.charge(sizes, held.job, -1, -held.bytes)
  redis.call('HSET', HELD, id, taskId and answer .. ' ' .. taskId or answer)
end

-- Ids of a job's reports, oldest first.
function early.ofJob(service, job)
  local ids = {}
  if early.sizes(service, job) == 0 then
    return ids
  end
  for _, entry in ipairs(redis.call('LRANGE', early.keys(service), 0, -1)) do
    local id, named = entry:match('^(%S+) (.*)$')
    if named == job then
      ids[#ids + 1] = id
    end
  end
  return ids
end

-- Once no call of a service is unanswered, its early reports can match nothing.
function early.dismiss(service)
  if redis.call('HEXISTS', SENDING, service) == 1 then
    return
  end
  local entries = redis.call('LRANGE', early.keys(service), 0, -1)
  for from = 1, #entries, 500 do
    local flat = {}
    for at = from, math.min(from + 499, #entries) do
      flat[#flat + 1] = entries[at]:match('^%S+')
      flat[#flat + 1] = 'unknown_task'
    end
    redis.call('HSET', HELD, unpack(flat))
  end
  if #entries > 0 then
    redis.call('UNLINK', early.keys(service))
  end
end
