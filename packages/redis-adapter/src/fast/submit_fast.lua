-- Stores tasks that can run at once: no session, batch, key or start time. A lone task is handed to a waiting claim, see
-- task_handover.
--
-- @keys   see fast_path
-- @args   now · marker, see stored · for each tenant: meta, events, tasks, max_waiting, their type or '' when they differ,
--         then for each task: id, 9 - priority, its record or '' when it is stored, deadline after now, event data
-- @return the time · for each tenant, see fast_path: epoch of the log · for each task its sequence, 0 when only the full step
--         can tell (its id is taken, or the tenant has limits), -1 when too many wait or too much is stored · or nothing, when nothing was stored
-- @intake
-- Bytes of the record; nothing when the id is taken.
-- @include events/event_log fast/fast_creation fast/fast_path fast/stored fast/task_handover generated/rules
-- @include scripts/due_order scripts/time
local function store(key, record, sequence)
  if not areStored and not redis.call('SET', key, record, 'NX') then
    return nil
  end
  return writeSequence(key, sequence)
end

local function refuse(key)
  if areStored then
    redis.call('DEL', key)
    return -1
  end
  return redis.call('EXISTS', key) == 1 and 0 or -1
end

-- Only the full step looks at the limits of the tenant.
local function sendOn(key)
  if areStored then
    redis.call('DEL', key)
  end
  return 0
end

local function submitTo(meta, events, count, first, max, type)
  local new = openCreation(meta)
  local prefix, answer = new.prefix, { false, false, new.counters.epoch or format('%x', now) }
  if new.counters.guarded then
    for at = first, first + (count - 1) * 5, 5 do
      answer[#answer + 1] = sendOn(prefix .. ARGV[at])
    end
    return answer
  end
  for at = first, first + (count - 1) * 5, 5 do
    local id, sequence = ARGV[at], new.seq + 1
    local isFull = new.pending + new.staged >= max or new.stored >= MAX_STORED_BYTES
    local bytes = not isFull and store(prefix .. id, ARGV[at + 2], format('%d', sequence))
    if isFull then
      answer[#answer + 1] = refuse(prefix .. id)
    elseif not bytes then
      answer[#answer + 1] = 0
    else
      answer[#answer + 1] = sequence
      addReady(new, id, ARGV[at + 1], sequence)
      addCreated(new, id, now + ARGV[at + 3], ARGV[at + 4], bytes)
    end
  end
  if new.emitted.count > 0 then
    answer[1], answer[2] = saveCreated(new, events, type), new.due
  end
  return answer
end

local function set(changes, field, value)
  changes[#changes + 1] = field
  changes[#changes + 1] = format('%d', value)
end

-- The same for a lone task of a tenant, without allocating tables.
local function submitOne(meta, events, _, at, max, type)
  local prefix, id, counters = meta:sub(1, -6), ARGV[at], countersOf(meta)
  local seq, pending = (tonumber(counters.seq) or 0) + 1, (tonumber(counters.pending) or 0) + 1
  local deadline = now + ARGV[at + 3]
  local stored = tonumber(counters.stored) or 0
  local isFull = pending + (tonumber(counters.staged) or 0) > max or stored >= MAX_STORED_BYTES
  if isFull or counters.guarded or deadline < (tonumber(counters.last_deadline) or 0) or deadline > now + LONGEST_IN_ORDER then
    return submitTo(meta, events, 1, at, max, type)
  end
  local sequence, till = format('%d', seq), format('%d', deadline)
  local bytes = store(prefix .. id, ARGV[at + 2], sequence)
  if not bytes then
    return { false, false, '', 0 }
  end
  local new = { type = type, due = deadline, largest = bytes, stored = stored + bytes }
  redis.call('RPUSH', prefix .. '@created', sequence .. ' ' .. till .. ' ' .. id)
  local created = '["C",' .. ARGV[at + 4] .. ',"' .. id .. '"]'
  local isFirst = redis.call('ZCARD', prefix .. '@ready') == 0
  local handover, expires
  if isFirst then
    handover, expires = handOver(prefix, counters, type, id)
  end
  if handover then
    appendEntry(events, '[' .. nowText .. ',' .. created .. ',["S","' .. id .. '"]]', 2, seq + 1, counters.followed, counters.epoch)
    set(handover, 'seq', seq + 1)
    set(handover, 'processing', (tonumber(counters.processing) or 0) + 1)
    set(handover, 'running', (tonumber(counters.running) or 0) + 1)
    set(handover, 'last_deadline', deadline)
    new.due = math.min(deadline, expires)
    return { saveCounters(meta, prefix, counters, handover, false, new), new.due, counters.epoch or format('%x', now), seq }
  end
  redis.call('ZADD', prefix .. '@ready', format('%s%014d', ARGV[at + 1], seq), id)
  appendEntry(events, '[' .. nowText .. ',' .. created .. ']', 1, seq, counters.followed, counters.epoch)
  local changes = { 'seq', sequence, 'pending', format('%d', pending), 'last_deadline', till }
  return { saveCounters(meta, prefix, counters, changes, isFirst, new), deadline, counters.epoch or format('%x', now), seq }
end

local answers, at = {}, 3
while ARGV[at] do
  local count = tonumber(ARGV[at + 2])
  answers[#answers + 1] = isolated(count == 1 and submitOne or submitTo, ARGV[at], ARGV[at + 1], count, at + 5,
    tonumber(ARGV[at + 3]), ARGV[at + 4])
  at = at + 5 + count * 5
end
return { now, answers }
