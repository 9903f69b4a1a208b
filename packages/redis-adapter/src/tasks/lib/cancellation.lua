-- Cancels the tasks of a session or a batch, a portion a step. Until the last one is cancelled, the group admits no task.
-- The remainder is a timer: if the canceller stops, the sweeper continues.
--
-- Fields of the session's or batch's hash meanwhile: cancel_left (session: below which sequence, batch: number of items from
-- the first), cancel_reason, cancel_grace, cancel_requested (time of the canceller's last step)
-- @include generated/rules scripts/due scripts/system scripts/tenant scripts/time sessions/session tasks/groups
-- @include tasks/task tasks/task_end
local CANCELLER_TIMEOUT = 1000

-- Newest first. `portion` returns the ids of a portion, and what is left then, or nil.
local groups = {
  session = {
    keyOf = function(id) return SESSIONS .. id end,
    portion = function(key, left)
      local found = redis.call('ZREVRANGEBYSCORE', key .. ':live', left, '-inf', 'WITHSCORES', 'LIMIT', 0, CANCELLED_AT_ONCE)
      local ids = {}
      for at = 1, #found, 2 do
        ids[#ids + 1] = found[at]
      end
      return ids, #ids == CANCELLED_AT_ONCE and '(' .. found[#found] or nil
    end,
    admit = function(id) admitToSession(id) end,
  },
  batch = {
    keyOf = function(id) return PREFIX .. '@batch:' .. id end,
    portion = function(key, left)
      if isStaged(key) then
        return {}, left
      end
      local from, ids = math.max(0, left - CANCELLED_AT_ONCE), {}
      local items = redis.call('LRANGE', key .. ':items', from, left - 1)
      for at = #items, 1, -1 do
        ids[#ids + 1] = items[at]:sub(1, 1) ~= '{' and items[at] or nil
      end
      return ids, from > 0 and string.format('%d', from) or nil
    end,
    admit = function(id) admitToBatch(PREFIX .. '@batch:' .. id) end,
  },
}

-- As text.
local function itemsOf(batch)
  return redis.call('HGET', batch, 'total') or string.format('%d', redis.call('LLEN', batch .. ':items'))
end

-- Returns false if a cancellation is in progress already.
local function beginCancelling(kind, id, left, reason, grace)
  local key = groups[kind].keyOf(id)
  if redis.call('HSETNX', key, 'cancel_left', left) == 0 then
    return false
  end
  redis.call('HSET', key, 'cancel_reason', reason, 'cancel_grace', grace, 'cancel_requested', now)
  return true
end

local function cancelPortion(kind, id)
  local group = groups[kind]
  local key = group.keyOf(id)
  local cancelling = hmget(key, 'cancel_left', 'cancel_reason', 'cancel_grace')
  if not cancelling.cancel_left then
    return false
  end
  local ids, rest = group.portion(key, cancelling.cancel_left)
  spend(#ids)
  local before = budget
  for _, task in ipairs(ids) do
    task = load(task)
    if task then
      cancelTask(task, cancelling.cancel_reason, tonumber(cancelling.cancel_grace))
    end
    -- Their calls cost as much as a portion: the next step begins with the same tasks, and skips those that have ended.
    if before - budget >= CANCELLED_AT_ONCE then
      return true
    end
  end
  if rest then
    redis.call('HSET', key, 'cancel_left', rest)
    return true
  end
  redis.call('HDEL', key, 'cancel_left', 'cancel_reason', 'cancel_grace', 'cancel_requested')
  group.admit(id)
  return false
end

-- A step of the canceller, the first one or a later one. Returns whether some are left.
local function continueCancelling(kind, id, isFirst)
  local more = cancelPortion(kind, id)
  if more then
    redis.call('HSET', groups[kind].keyOf(id), 'cancel_requested', now)
  end
  if more and isFirst then
    schedule('cancel', now + CANCELLER_TIMEOUT, kind .. '\n' .. id)
  end
  return more
end

-- A step of the sweeper. Returns whether it has done anything.
local function sweepCancelling(kind, id)
  local key = groups[kind].keyOf(id)
  local requestedAt = redis.call('HGET', key, 'cancel_requested')
  if not requestedAt or isStaged(key) then
    -- The creation of a batch's last task schedules its cancellation again.
    return false
  end
  local resumesAt = requestedAt + CANCELLER_TIMEOUT
  if resumesAt > now or cancelPortion(kind, id) then
    schedule('cancel', math.max(now, resumesAt), kind .. '\n' .. id)
  end
  return resumesAt <= now
end

-- A batch with fail_fast ends with its first failure: one step at once, the sweeper takes the others.
local function failTask(task, outcome, reason)
  local batch = batchKey(task)
  local failsBatch = batch and redis.call('HGET', batch, 'fail_fast') == '1'
  local id = task.header.batch_id
  if failsBatch then
    failsBatch = beginCancelling('batch', id, itemsOf(batch), batchFailedText(task.id), CANCEL_GRACE_MS)
  end
  endTask(task, 'failed', outcome, reason)
  effects[#effects + 1] = { 'dead_letter', task.id }
  if failsBatch and cancelPortion('batch', id) then
    redis.call('HSET', batch, 'cancel_requested', 0)
    schedule('cancel', now, 'batch\n' .. id)
  end
end
