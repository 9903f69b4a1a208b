-- Stores a batch of tasks that stand in no other line than that of the batch: no session, message or time to wait for.
-- A task that its batch asks nothing of when it ends is like one without a batch; the others have a state from the start,
-- which says so.
--
-- @keys   see many
-- @args   now · meta, events, {id, max, fail_fast, key?, fingerprint?, max_waiting, kinds, type (of all, or '')} · for each
--         kind of task: 9 - priority, head, deadline after now, event data · the kind of each item, four digits each, from 1
--         on, 0 for an error · for each item: id, payload; or '', its error
-- @return the time · one list of: submitted, taken (nothing is stored, since an id is that of another task), or see
--         submit_batch · effects · when the first is due
--@intake
--@include time rotation trim many types idempotency plain_creation
local RETENTION_OF_BATCHES = $retentionMs
local KINDS_AT, DIGITS = 5, 4

local function readKinds(count)
  local kinds = {}
  for number = 1, count do
    local at = KINDS_AT + 4 * (number - 1)
    kinds[format('%04d', number)] = {
      lane = ARGV[at], head = ',' .. ARGV[at + 1] .. '\n', deadline = now + ARGV[at + 2], data = ARGV[at + 3],
    }
  end
  return kinds, KINDS_AT + 4 * count
end

-- What is in the way is refused before anything is written.
local function checkTypes(prefix, events)
  redis.call('ZCARD', prefix .. '@ready')
  redis.call('LLEN', prefix .. '@made')
  redis.call('ZCARD', prefix .. '@due')
  redis.call('HLEN', prefix .. '@live')
  redis.call('XLEN', events)
end

-- The first `max` are let in, the others wait. Where all may go there is no line.
local function standInBatch(new, batch, tasks, params)
  local inLine = #tasks > params.max
  if not inLine and not params.fail_fast then
    return
  end
  local moment = '","since":' .. nowText .. ',"updated":' .. nowText .. ',"attempt":0,"rev":1}'
  local states, inside, line = {}, {}, {}
  for at, id in ipairs(tasks) do
    local lane = at <= params.max and inside or line
    lane[#lane + 1] = id
    states[#states + 1] = id
    states[#states + 1] = '{"state":"' .. (lane == inside and 'ready' or 'waiting') .. moment
  end
  redis.call('HSET', new.prefix .. '@live', unpack(states))
  if inLine then
    redis.call('SADD', batch .. ':inside', unpack(inside))
    redis.call('RPUSH', batch .. ':line', unpack(line))
  end
end

-- Collects what is to be stored: the records, the items of the batch, and its tasks.
local function collect(new, kinds, kindsAt, max)
  local records, items, tasks, prefix = {}, {}, {}, new.prefix
  local item, task, kindOf = 0, 0, ARGV[kindsAt]
  for at = kindsAt + 1, #ARGV, 2 do
    local kind, id = kinds[kindOf:sub(DIGITS * item + 1, DIGITS * item + DIGITS)], ARGV[at]
    item = item + 1
    if kind then
      local place = new.seq + 1
      task = task + 1
      items[item], tasks[task] = id, id
      records[2 * task - 1] = prefix .. id
      records[2 * task] = opening .. format('%d', place) .. kind.head .. ARGV[at + 1]
      if task <= max then
        addReady(new, id, kind.lane, place)
      end
      addCreated(new, id, kind.deadline, kind.data)
    else
      items[item] = ARGV[at + 1]
    end
  end
  return records, items, tasks
end

local function submitTo(meta, events, params)
  local new = openCreation(meta)
  local prefix, batch = new.prefix, new.prefix .. '@batch:' .. params.id
  local answer, id = usedBefore(prefix, params, 'batch')
  if answer then
    return { { answer, id }, {}, false }
  end
  if redis.call('EXISTS', batch) == 1 then
    return { { 'replayed', params.id }, {}, false }
  end
  local kinds, kindsAt = readKinds(params.kinds)
  if new.pending + (#ARGV - kindsAt) / 2 > params.max_waiting then
    return { { 'queue_full' }, {}, false }
  end
  checkTypes(prefix, events)
  local records, items, tasks = collect(new, kinds, kindsAt, params.max)
  if redis.call('MSETNX', unpack(records)) == 0 then
    return { { 'taken' }, {}, false }
  end
  local keptUntil = now + RETENTION_OF_BATCHES
  new.due = math.min(new.due, keptUntil)
  redis.call('HSET', batch, 'max', params.max, 'fail_fast', params.fail_fast and 1 or 0, 'created', nowText)
  redis.call('RPUSH', batch .. ':items', unpack(items))
  redis.call('ZADD', prefix .. '@due', format('%d', keptUntil), 'batch\n' .. params.id)
  standInBatch(new, batch, tasks, params)
  remember(prefix, params, 'batch ' .. params.id)
  return { { 'submitted', params.id }, saveCreated(new, events, params.type), new.due }
end

return { now, { apart(submitTo, ARGV[2], ARGV[3], cjson.decode(ARGV[4])) } }
