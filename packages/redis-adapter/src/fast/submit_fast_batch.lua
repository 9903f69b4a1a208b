-- Stores a batch whose tasks are in no other group: no session, message or start time. Without a limit or fail_fast its
-- tasks are like tasks without a batch; otherwise they have a state from the start, which marks them.
--
-- @keys   see fast_path
-- @args   now · marker, see stored · meta, events, {id, max, fail_fast, key?, fingerprint?, max_waiting, kinds, type (of
--         all, or '')} · for each kind of task: 9 - priority, deadline after now, event data · the kind of each item, four
--         digits each, from 1 on, 0 for an error · for each item its id, or its error
-- @return the time · for the tenant, see fast_path: the answer and its id, see submit_batch · or nothing, when nothing was
--         stored
-- @intake
-- @include fast/fast_creation fast/fast_path fast/stored generated/rules scripts/time tasks/idempotency
local KINDS_AT, DIGITS = 6, 4

local function readKinds(count)
  local kinds = {}
  for number = 1, count do
    local at = KINDS_AT + 3 * (number - 1)
    kinds[format('%04d', number)] = { queue_priority = ARGV[at], deadline = now + ARGV[at + 1], data = ARGV[at + 2] }
  end
  return kinds, KINDS_AT + 3 * count
end

-- A key of a wrong type is refused before anything else is written.
local function checkTypes(prefix, events)
  redis.call('ZCARD', prefix .. '@ready')
  redis.call('LLEN', prefix .. '@created')
  redis.call('ZCARD', prefix .. '@due')
  redis.call('HLEN', prefix .. '@live')
  redis.call('XLEN', events)
end

-- The first `max` become holders, the others wait. Without a limit there is no queue.
local function joinBatch(new, batch, tasks, params)
  local hasQueue = #tasks > params.max
  if not hasQueue and not params.fail_fast then
    return
  end
  local moment = '","since":' .. nowText .. ',"updated":' .. nowText .. ',"attempt":0,"rev":1}'
  local states, holders, queue = {}, {}, {}
  for at, id in ipairs(tasks) do
    local isHolder = at <= params.max
    if isHolder then
      holders[#holders + 1] = id
    else
      queue[#queue + 1], queue[#queue + 2] = at, id
    end
    states[#states + 1] = id
    states[#states + 1] = '{"state":"' .. (isHolder and 'ready' or 'waiting') .. moment
  end
  redis.call('HSET', new.prefix .. '@live', unpack(states))
  if hasQueue then
    redis.call('SADD', batch .. ':holders', unpack(holders))
    redis.call('ZADD', batch .. ':queue', unpack(queue))
  end
end

-- For each item its id or its error, and its kind, which an error does not have.
local function eachItem(kinds, kindsAt, act)
  local kindOf = ARGV[kindsAt]
  for item = 1, #ARGV - kindsAt do
    act(ARGV[kindsAt + item], kinds[kindOf:sub(DIGITS * (item - 1) + 1, DIGITS * item)])
  end
end

-- Collects the items of the batch, and its tasks.
local function collect(new, kinds, kindsAt, max)
  local items, tasks = {}, {}
  eachItem(kinds, kindsAt, function(id, kind)
    items[#items + 1] = id
    if kind then
      tasks[#tasks + 1] = id
      local bytes = writeSequence(new.prefix .. id, format('%d', new.seq + 1))
      if #tasks <= max then
        addReady(new, id, kind.queue_priority, new.seq + 1)
      end
      addCreated(new, id, kind.deadline, kind.data, bytes)
    end
  end)
  return items, tasks
end

local function forget(prefix, kinds, kindsAt)
  eachItem(kinds, kindsAt, function(id, kind)
    if kind then
      redis.call('DEL', prefix .. id)
    end
  end)
end

-- The answer when nothing is to be stored; else nothing.
local function refusal(new, batch, items, params)
  if new.counters.guarded then
    -- Only the full step looks at the limits of the tenant.
    return { 'not_fast' }
  end
  local answer, id = usedBefore(new.prefix, params, 'batch')
  if answer then
    return { answer, id }
  end
  if redis.call('EXISTS', batch) == 1 then
    return { 'replayed', params.id }
  end
  local isFull = new.pending + new.staged + items > params.max_waiting or new.stored >= MAX_STORED_BYTES
  return isFull and { 'queue_full' } or nil
end

local function submitTo(meta, events, params)
  local new = openCreation(meta)
  local prefix, batch = new.prefix, new.prefix .. '@batch:' .. params.id
  local kinds, kindsAt = readKinds(params.kinds)
  local refused = refusal(new, batch, #ARGV - kindsAt, params)
  if refused then
    forget(prefix, kinds, kindsAt)
    return { false, false, unpack(refused) }
  end
  local ok, reason = pcall(checkTypes, prefix, events)
  if not ok then
    forget(prefix, kinds, kindsAt)
    error(reason)
  end
  local items, tasks = collect(new, kinds, kindsAt, params.max)
  local keptUntil = now + RETENTION_MS
  new.due = math.min(new.due, keptUntil)
  redis.call('HSET', batch, 'max', params.max, 'fail_fast', params.fail_fast and 1 or 0, 'created', nowText)
  redis.call('RPUSH', batch .. ':items', unpack(items))
  redis.call('ZADD', prefix .. '@due', format('%d', keptUntil), 'batch\n' .. params.id)
  joinBatch(new, batch, tasks, params)
  remember(prefix, params, 'batch ' .. params.id)
  return { saveCreated(new, events, params.type), new.due, 'submitted', params.id }
end

return { now, { isolated(submitTo, ARGV[3], ARGV[4], cjson.decode(ARGV[5])) } }
