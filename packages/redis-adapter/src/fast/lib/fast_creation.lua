-- Creation of fast tasks of one tenant: writes are collected, and done for all tasks at once.
-- @include fast/fast_path scripts/due_order scripts/time tenants/tenant_summary
local CHUNK = 64
local opening = '"at":' .. nowText .. ',"sequence":'

-- A stored task begins with room for these. Returns its bytes.
local function writeSequence(key, sequence)
  return redis.call('SETRANGE', key, '1', opening .. sequence)
end

local function countersOf(meta)
  -- @record
  local counters = hmget(meta, 'seq', 'pending', 'last_deadline', 'due', 'followed', 'known', 'paused', 'max_running',
    'running', 'scheduled', 'type', 'processing', 'epoch', 'claimed', 'last_leases', 'groups', 'large', 'stored', 'staged', 'guarded')
  return counters
end

local function openCreation(meta)
  local counters = countersOf(meta)
  return {
    meta = meta, prefix = meta:sub(1, -6), counters = counters, ready = {}, emitted = newEventBuffer(), chunks = {}, early = {},
    seq = tonumber(counters.seq) or 0, pending = tonumber(counters.pending) or 0,
    last = tonumber(counters.last_deadline) or 0,
    scheduled = tonumber(counters.scheduled) or 0, largest = 0, stored = tonumber(counters.stored) or 0,
    staged = tonumber(counters.staged) or 0,
  }
end

-- @created in chunks of the same deadline.
local function appendToCreated(chunks, sequence, deadline, id)
  local chunk = chunks[#chunks]
  if chunk and chunk.deadline == deadline and #chunk < CHUNK then
    chunk[#chunk + 1] = id
  else
    chunks[#chunks + 1] = { format('%d %d', sequence, deadline), id, deadline = deadline }
  end
end

local function addReady(new, id, queue_priority, sequence)
  local ready, n = new.ready, #new.ready
  ready[n + 1], ready[n + 2] = format('%s%014d', queue_priority, sequence), id
end

-- A task that is stored already, with its size in bytes, gets the next sequence.
local function addCreated(new, id, deadline, data, bytes)
  local sequence = new.seq + 1
  new.largest, new.stored = math.max(new.largest, bytes), new.stored + bytes
  new.seq, new.pending = sequence, new.pending + 1
  emitCreated(new.emitted, id, data)
  if not new.due or deadline < new.due then
    new.due = deadline
  end
  if deadline < new.last or deadline > now + LONGEST_IN_ORDER then
    local early = new.early
    new.scheduled = (new.scheduled + 1) % ORDERED
    early[#early + 1] = format('%d.%03d', deadline, new.scheduled)
    early[#early + 1] = 'deadline\n' .. id
    appendToCreated(new.chunks, sequence, 0, id)
  else
    new.last = deadline
    appendToCreated(new.chunks, sequence, deadline, id)
  end
end

local function saveDeadlines(new)
  for at, chunk in ipairs(new.chunks) do
    new.chunks[at] = table.concat(chunk, ' ')
  end
  redis.call('RPUSH', new.prefix .. '@created', unpack(new.chunks))
  if #new.early > 0 then
    redis.call('ZADD', new.prefix .. '@due', unpack(new.early))
  end
end

-- `isFirst`: no task was ready before. Of the new tasks: `type` (or '' when they differ), `due` (first deadline), `largest`
-- (most bytes of one), `stored` (bytes of the tenant with them). Returns the effects.
local function saveCounters(meta, prefix, counters, changes, isFirst, new)
  local unended = (tonumber(counters.pending) or 0) + (tonumber(counters.processing) or 0)
  changes[#changes + 1] = 'stored'
  changes[#changes + 1] = format('%d', new.stored)
  local only, large = onlyType(counters.type, unended, new.type), anyLarge(counters.large, unended, new.largest)
  if only ~= counters.type then
    changes[#changes + 1] = 'type'
    changes[#changes + 1] = only
  end
  if large ~= (counters.large or '0') then
    changes[#changes + 1] = 'large'
    changes[#changes + 1] = large
  end
  -- A tenant with other ready tasks is in the rotation already.
  local isReady = isFirst and counters.paused ~= '1'
    and not (counters.max_running and (tonumber(counters.running) or 0) >= tonumber(counters.max_running))
  local effects = updateSystem(prefix, changes, new.due, tonumber(counters.due) or 0, isReady)
  if not counters.known then
    effects = registerTenant(prefix, changes, effects)
  end
  redis.call('HSET', meta, unpack(changes))
  return effects
end

-- Writes everything that was collected, for at least one task.
local function saveCreated(new, events, type)
  saveDeadlines(new)
  redis.call('ZADD', new.prefix .. '@ready', unpack(new.ready))
  appendEvents(events, new.emitted, new.seq, new.counters.followed, new.counters.epoch)
  local changes = {
    'seq', format('%d', new.seq), 'pending', format('%d', new.pending), 'last_deadline', format('%d', new.last),
  }
  if #new.early > 0 then
    changes[#changes + 1] = 'scheduled'
    changes[#changes + 1] = format('%d', new.scheduled)
  end
  local isFirst = redis.call('ZCARD', new.prefix .. '@ready') == #new.ready / 2
  new.type = type
  return saveCounters(new.meta, new.prefix, new.counters, changes, isFirst, new)
end
