-- Sessions of the tenant.
--
-- <prefix>:session:{<tenant>}:<id>           status, agent, created, updated, context (JSON), rev, message_seq (number of
--                                            messages so far); of its group: holder (the task that may run), w0…w9 (waiting
--                                            tasks by priority); see also cancellation; bytes (of context and messages)
-- …:<id>:messages  …:<id>:message_ids        the recent history, as "id newline JSON", and the ids in the same order
-- …:<id>:message_bytes                       their sizes, in the same order
-- …:<id>:live                                tasks that have not ended, by sequence
-- …:<id>:queue                               waiting tasks, in their order
-- @include events/events generated/rules scripts/due scripts/tenant scripts/time
local SESSIONS = NAMESPACE .. ':session:{' .. TENANT .. '}:'

local function sessionField(id, field)
  return redis.call('HGET', SESSIONS .. id, field)
end

local function emitSession(id, status, rev)
  append('["' .. SESSION_UPDATED .. '",null,null,"' .. id .. '",{"status":"' .. status .. '","rev":' .. rev .. ',"messages":'
    .. redis.call('LLEN', SESSIONS .. id .. ':messages') .. '}]')
end

-- Changes fields of a session, given as field, value, field, value …
local function changeSession(id, ...)
  local key = SESSIONS .. id
  local rev = redis.call('HINCRBY', key, 'rev', 1)
  redis.call('HSET', key, 'updated', now, ...)
  emitSession(id, redis.call('HGET', key, 'status'), rev)
end

local function chargeSession(id, bytes)
  redis.call('HINCRBY', SESSIONS .. id, 'bytes', bytes)
  addStored(bytes)
end

local function scheduleIdle(id, updated)
  schedule('session', math.max(now + 1000, updated + SESSION_IDLE_MS), id)
end

-- Creates the session if none of this id exists.
local function openSession(id, agent, context)
  local key = SESSIONS .. id
  if redis.call('EXISTS', key) == 1 then
    return false
  end
  redis.call('HSET', key, 'status', 'active', 'created', now, 'updated', now, 'context', context, 'rev', 1)
  chargeSession(id, #context)
  if agent then
    redis.call('HSET', key, 'agent', agent)
  end
  redis.call('ZADD', PREFIX .. '@sessions', count('session_sequence'), id)
  addMeta('session_sequence', 1)
  scheduleIdle(id, now)
  emitSession(id, 'active', 1)
  return true
end

-- Adjusts the size of the history, in bytes.
local function chargeMessage(id, bytes)
  local sizes = SESSIONS .. id .. ':message_bytes'
  local gone = redis.call('RPUSH', sizes, bytes) - SESSION_MESSAGES
  if gone > 0 then
    for _, size in ipairs(redis.call('LRANGE', sizes, 0, gone - 1)) do
      bytes = bytes - size
    end
    redis.call('LTRIM', sizes, gone, -1)
  end
  chargeSession(id, bytes)
end

-- Adds a message to the recent history; the oldest go when there are too many. `message` is its JSON.
local function addMessage(id, messageId, message)
  local list, ids = SESSIONS .. id .. ':messages', SESSIONS .. id .. ':message_ids'
  if redis.call('ZSCORE', ids, messageId) then
    return false
  end
  redis.call('ZADD', ids, redis.call('HINCRBY', SESSIONS .. id, 'message_seq', 1), messageId)
  local text = messageId .. '\n' .. message
  local size = redis.call('RPUSH', list, text)
  chargeMessage(id, #text)
  if size > SESSION_MESSAGES then
    redis.call('LTRIM', list, -SESSION_MESSAGES, -1)
    redis.call('ZREMRANGEBYRANK', ids, 0, size - SESSION_MESSAGES - 1)
  end
  changeSession(id)
  return true
end

local function viewSession(id)
  return redis.call('HGETALL', SESSIONS .. id)
end
