-- Creation of a batch's tasks: all in the step that stores it, or, where that is too much, a portion a step. The remainder
-- is a timer: if the submitting process stops, the sweeper continues.
--
-- An item, as text: {error}, or a task (see creation) with {refusals: by reason}, as JSON · newline · payload
-- @batch:<id>:staged  number of an item -> the item; `bytes` of all of them. Expires without a batch.
-- Field of the batch's hash until all its tasks exist: total (number of items)
-- @include generated/rules scripts/due scripts/tenant scripts/time tasks/creation tasks/task_end
local CREATOR_TIMEOUT = 1000
local LOST = '{"error":' .. cjson.encode('{"code":"internal_error","message":"the item was lost","retryable":true}') .. '}'

local function addItem(batch, text)
  local json, payload = text:match('^([^\n]*)\n?(.*)$')
  local item = cjson.decode(json)
  local refusal = not item.error and (redis.call('EXISTS', PREFIX .. item.id) == 1 and 'conflict' or refusalOf(item))
  if item.error or refusal then
    redis.call('RPUSH', batch .. ':items', item.error or item.refusals[refusal])
  else
    redis.call('RPUSH', batch .. ':items', item.id)
    store(item, payload)
  end
end

-- Creates the first tasks of items that came with their batch, behind `before` other arguments, up to the limits of one
-- step. The cost of an item shows only when it is created: it may interrupt a task with many calls. The remainder is staged.
-- Returns whether there is any.
local function addFirst(batch, args, before)
  local items, at, bytes = #args - before, 0, 0
  while at < items and at < CANCELLED_AT_ONCE and bytes < PAGE_BYTES and budget > 0 do
    at = at + 1
    bytes = bytes + #args[before + at]
    addItem(batch, args[before + at])
  end
  if at == items then
    return false
  end
  local left = 0
  for number = at + 1, items do
    redis.call('HSET', batch .. ':staged', string.format('%d', number), args[before + number])
    left = left + #args[before + number]
  end
  redis.call('HSET', batch, 'total', string.format('%d', items))
  addStored(left)
  addMeta('staged', items - at)
  return true
end

-- A batch without items takes over what was staged for it. Returns whether all of it is there.
local function takeStaged(batch, total)
  local staged = batch .. ':staged'
  if redis.call('HLEN', staged) ~= total + 1 then
    return false
  end
  redis.call('PERSIST', staged)
  redis.call('HSET', batch, 'total', string.format('%d', total))
  addStored(tonumber(redis.call('HGET', staged, 'bytes')))
  addMeta('staged', total)
  return true
end

-- Returns whether some are left.
local function createPortion(id)
  local batch = PREFIX .. '@batch:' .. id
  local total, staged = tonumber(redis.call('HGET', batch, 'total')), batch .. ':staged'
  if not total then
    return false
  end
  local created, bytes, taken = redis.call('LLEN', batch .. ':items'), 0, {}
  while created < total and #taken < CANCELLED_AT_ONCE and bytes < PAGE_BYTES and budget > 0 do
    created = created + 1
    taken[#taken + 1] = string.format('%d', created)
    local text = redis.call('HGET', staged, taken[#taken])
    bytes = bytes + #(text or '')
    addItem(batch, text or LOST)
  end
  addStored(-bytes)
  addMeta('staged', -#taken)
  if created < total then
    redis.call('HDEL', staged, unpack(taken))
    return true
  end
  redis.call('UNLINK', staged)
  redis.call('HDEL', batch, 'total')
  redis.call('ZREM', DUE, 'staged\n' .. id)
  if redis.call('HEXISTS', batch, 'cancel_left') == 1 then
    schedule('cancel', now, 'batch\n' .. id)
  end
  return false
end
