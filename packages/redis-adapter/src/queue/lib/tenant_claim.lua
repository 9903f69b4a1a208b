-- Takes tasks of one tenant for a worker. Most of them are fast (see state), of one type and version: those are handled
-- together, as one text of ids.
--
-- `runs`: type -> its versions, newest first. Returns the number taken; their version and ids, when all are fast and alike,
-- or 0 and {id, state, steps?, outcomes?, changes?, unread?, messages?, older?} for each, where a fast one has its version for a state (the
-- adapter reads records by itself: large texts take long in a script); whether anything that such workers run is left; the
-- tenant's counters; the ids as one text; and whether they are due before all else.
-- @include events/event_log generated/rules queue/candidates queue/claim_budget queue/claimed_messages queue/oldest tasks/state
local LOOK_AHEAD = 100
local format = string.format

local function canRun(runs, type, version)
  local versions = runs[type]
  if not versions or not version then
    return versions and versions[1]
  end
  for _, each in ipairs(versions) do
    if each == version then
      return version
    end
  end
end

local function groupOf(type, version, lost)
  return type .. '@' .. (version or '') .. (lost and '!' or '')
end

local function suspectGroup(group)
  return group:sub(-1) == '!'
end

local function runsGroup(runs, group)
  local type, version = group:match('^(.*)@(%d*)!?$')
  return canRun(runs, type, tonumber(version))
end

-- Tasks set aside that such a worker runs become ready again.
local function restoreAside(prefix, runs, mayTakeSuspect)
  for _, group in ipairs(redis.call('SMEMBERS', prefix .. '@groups')) do
    local key = prefix .. '@aside:' .. group
    if runsGroup(runs, group) and (mayTakeSuspect or not suspectGroup(group)) then
      local first = redis.call('ZRANGE', key, 0, LOOK_AHEAD - 1, 'WITHSCORES')
      for at = 1, #first, 2 do
        redis.call('ZADD', prefix .. '@ready', first[at + 1], first[at])
      end
      if #first > 0 then
        redis.call('ZREMRANGEBYRANK', key, 0, LOOK_AHEAD - 1)
      end
      if redis.call('EXISTS', key) == 0 then
        redis.call('SREM', prefix .. '@groups', group)
      end
    end
  end
end

local function setAside(prefix, group, id, record, task)
  local sequence, priority = record:match('^{"at":%d+,"sequence":(%d+) *,"type":"[^"]*","priority":(%d)')
  redis.call('SADD', prefix .. '@groups', group)
  redis.call('ZADD', prefix .. '@aside:' .. group, (9 - (task and task.queue_priority or priority)) * SEQUENCES + sequence, id)
end

-- Records come with a claim of few small tasks: a separate read would take longer. Else none do.
local FEW = 16
local function recordsOf(lease, claimed, count)
  if count > FEW or lease.hasLarge then
    return false
  end
  local keys = {}
  for _, each in ipairs(claimed) do
    for id in each.ids:gmatch('%S+') do
      keys[#keys + 1] = each.prefix .. id
    end
  end
  return count > 0 and redis.call('MGET', unpack(keys)) or keys
end

-- Whether the next leased task is prefetched: the first `begins` are not.
local function isPrefetched(lease)
  lease.begins = lease.begins - 1
  return lease.begins < 0
end

-- Leases a task with a JSON state. Returns the rev of its event, if it has one.
local function leaseAgain(task, lease, version, now)
  local event
  task.resumes = task.state == 'woken'
  if not task.resumes then
    task.attempt, task.rev, task.updated = task.attempt + 1, task.rev + 1, now
    event = task.rev
  end
  task.state, task.since, task.updated = 'leased', now, now
  task.token, task.worker, task.expires, task.prefetched = lease.token, lease.worker, lease.expires, isPrefetched(lease) or nil
  task.version, task.began = version, task.began or now
  return event
end

local function appendLeases(prefix, counters, changes, expires, ids)
  if expires >= (tonumber(counters.last_leases) or 0) then
    local text = format('%d', expires)
    redis.call('RPUSH', prefix .. '@leases', text .. ' ' .. ids)
    changes[#changes + 1] = 'last_leases'
    changes[#changes + 1] = text
    return
  end
  for id in ids:gmatch('%S+') do
    redis.call('ZADD', prefix .. '@due', expires, 'leases\n' .. id)
  end
end

-- Whether the tenant is due earlier than indexed: without `system` the adapter indexes it.
local function indexDue(prefix, indexed, changes, now, due, system)
  if indexed > now and due >= indexed then
    return false
  end
  changes[#changes + 1] = 'due'
  changes[#changes + 1] = format('%d', due)
  if system then
    redis.call('ZADD', system .. 'due', 'LT', due, prefix:match('{(.*)}'))
  end
  return true
end

-- Whether tasks are set aside that such a worker runs, suspects included.
local function asideFor(prefix, runs)
  for _, group in ipairs(redis.call('SMEMBERS', prefix .. '@groups')) do
    if runsGroup(runs, group) then
      return true
    end
  end
  return false
end

-- The common state of fast tasks of a version in a claim.
local function fastText(lease, version, now)
  local letter = isPrefetched(lease) and 'a' or 'l'
  local text = lease.fastStates[letter .. version]
  if not text then
    text = format('%s %d %d %d ', letter, version, now, lease.expires) .. lease.token .. ' ' .. lease.worker
    lease.fastStates[letter .. version] = text
  end
  return text
end

-- Leases tasks of one type without a state; does nothing, and returns false, for any other set.
local function leaseFast(claiming, ids, known, type)
  local version = type and type ~= '' and canRun(claiming.runs, type)
  if not version or claiming.bytes then
    return false
  end
  for at = 1, #ids do
    if known[at] then
      return false
    end
  end
  local states = claiming.states
  for _, id in ipairs(ids) do
    states[#states + 1] = id
    states[#states + 1] = fastText(claiming.lease, version, claiming.now)
  end
  claiming.started = #ids
  claiming.version, claiming.out, claiming.ids = version, ids, table.concat(ids, ' ')
  claiming.emitted[1] = '["S","' .. claiming.ids .. '"]'
  return true
end

-- Enough of a task's first line for its type, its sequence and its priority.
local TYPE_BYTES = 144

-- Leases one task: its state, its event, and its entry in the answer. The adapter reads the record by itself.
local function leaseOne(claiming, id, known)
  local lease, runs = claiming.lease, claiming.runs
  local record = redis.pcall('GETRANGE', claiming.prefix .. id, 0, TYPE_BYTES - 1)
  local type = type(record) == 'string' and record:match('^{"at":%d+,"sequence":%d+ *,"type":"([^"]*)"')
  if not type then
    -- An id without a valid task is dropped, and nothing else with it.
    return
  end
  local task = known and cjson.decode(known)
  local suspect = task and (task.lost or 0) >= SUSPECT_FROM_LOSSES
  local version = canRun(runs, type, task and task.version)
  if not version or (suspect and not lease.maySuspect) then
    setAside(claiming.prefix, groupOf(type, task and task.version, suspect), id, record, task)
    claiming.aside = true
    return
  end
  local states, emitted, out = claiming.states, claiming.emitted, claiming.out
  if claiming.bytes then
    charge(lease, claiming.bytes[id])
  end
  states[#states + 1] = id
  if not task then
    claiming.started = claiming.started + 1
    states[#states + 1] = fastText(lease, version, claiming.now)
    emitted[#emitted + 1] = '["S","' .. id .. '"]'
    out[#out + 1] = { id, version }
    return
  end
  if task.state == 'ready' then
    claiming.started = claiming.started + 1
  end
  local rev = leaseAgain(task, lease, version, claiming.now)
  lease.maySuspect = lease.maySuspect and not suspect
  states[#states + 1] = cjson.encode(task)
  out[#out + 1] = { id, states[#states] }
  if task.journal then
    withJournal(claiming.prefix, out[#out], task.bytes)
  end
  local header = rev and redis.call('GETRANGE', claiming.prefix .. id, 0, HEADER_BYTES - 1) or ''
  local session = header:match('^[^\n]*"session_id":("[^"]*")') or 'null'
  if rev and lease.reads and lease.reads[type] and session ~= 'null' and not (task.journal or task.prefetched) then
    withMessages(lease, claiming.prefix, out[#out], session:sub(2, -2))
  end
  if rev then
    emitted[#emitted + 1] = '["' .. TASK_STARTED .. '","' .. id .. '",' .. rev .. ',' .. session .. ',{"attempt":' .. task.attempt .. '}]'
  end
end

local function saveTenantClaim(claiming, counters, events, system, ids)
  local prefix, now, changes = claiming.prefix, claiming.now, {}
  local function change(field, value)
    changes[#changes + 1] = field
    changes[#changes + 1] = format('%d', value)
  end
  local count, emitted = #claiming.out, claiming.emitted
  if claiming.aside then
    change('groups', 1)
  end
  if count > 0 then
    redis.call('HSET', prefix .. '@live', unpack(claiming.states))
    appendLeases(prefix, counters, changes, claiming.lease.expires, ids)
    claiming.due = indexDue(prefix, tonumber(counters.due) or 0, changes, now, claiming.lease.expires, system)
    change('pending', (tonumber(counters.pending) or 0) - claiming.started)
    change('processing', (tonumber(counters.processing) or 0) + claiming.started)
    change('running', (tonumber(counters.running) or 0) + count)
    change('claimed', (tonumber(counters.claimed) or 0) + count)
  end
  if #emitted > 0 then
    -- Fast tasks that are alike are one text.
    local appended = claiming.version and count or #emitted
    local seq = (tonumber(counters.seq) or 0) + appended
    change('seq', seq)
    local entry = '[' .. format('%d', now) .. ',' .. table.concat(emitted, ',') .. ']'
    appendEntry(events, entry, appended, seq, counters.followed, counters.epoch)
  end
  if #changes > 0 then
    redis.call('HSET', prefix .. '@meta', unpack(changes))
  end
end

local function idsOf(claiming)
  local ids = {}
  for at, task in ipairs(claiming.out) do
    ids[at] = task[1]
  end
  return table.concat(ids, ' ')
end

local function claimFromTenant(prefix, events, now, max, lease, runs, system)
  -- @record
  local counters = hmget(prefix .. '@meta', 'seq', 'pending', 'processing', 'running', 'claimed', 'max_running',
    'paused', 'last_leases', 'groups', 'followed', 'generation', 'weight', 'due', 'type', 'large', 'epoch')
  local claimed = tonumber(counters.claimed) or 0
  local room = counters.max_running and tonumber(counters.max_running) - (tonumber(counters.running) or 0) or max
  if counters.paused == '1' or room <= 0 then
    return 0, 0, {}, false, counters, ''
  end
  max = math.min(max, room)
  if counters.groups then
    restoreAside(prefix, runs, lease.maySuspect)
  end
  local this = {
    prefix = prefix, now = now, lease = lease, runs = runs, out = {}, states = {}, emitted = {}, started = 0, aside = false,
    bytes = counters.large == '1' and {} or nil,
  }
  local more, type = true, counters.type
  for _ = 1, LOOK_AHEAD do
    local ids
    ids, more = takeCandidates(this, max - #this.out, claimed + #this.out)
    if #ids == 0 then
      break
    end
    local known = redis.call('HMGET', prefix .. '@live', unpack(ids))
    if #this.out > 0 or not leaseFast(this, ids, known, type) then
      for at, id in ipairs(ids) do
        leaseOne(this, id, known[at])
      end
    end
    if #this.out >= max or not more then
      break
    end
  end
  lease.hasSome = lease.hasSome or #this.out > 0
  local ids = this.ids or idsOf(this)
  saveTenantClaim(this, counters, events, system, ids)
  return #this.out, this.version or 0, this.version and ids or this.out,
    more or ((counters.groups or this.aside) and asideFor(prefix, runs)), counters, ids, this.due
end
