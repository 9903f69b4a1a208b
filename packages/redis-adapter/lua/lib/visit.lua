-- Takes tasks of one tenant for a worker. Most of them are plain: submitted, not touched since. Their state is one text
-- for all that are taken at once.
--
-- `runs` is type -> its versions, newest first. Returns {id, state, steps?, outcomes?, changes?}…, where a plain task has its
-- version for a state (what a task is made of the adapter reads by itself: large texts take long in a script); whether
-- anything that such workers run is left, and the tenant's counters (11 generation, 12 weight).
local OLDEST_EVERY = 10
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

-- Takes out what has been ready for longest, whatever its priority.
local function popOldest(ready)
  local oldest = oldestIn(ready)
  redis.call('ZREM', ready, oldest or '')
  return { oldest }
end

-- What was set aside and such a worker runs goes back into line.
local function takeBack(prefix, runs, mayTakeSuspect)
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
  local place, priority = record:match('^{"at":%d+,"place":(%d+),"type":"[^"]*","priority":(%d)')
  redis.call('SADD', prefix .. '@groups', group)
  redis.call('ZADD', prefix .. '@aside:' .. group, (9 - (task and task.lane or priority)) * PLACES + place, id)
end

-- Takes out the next `most` ids, in the order in which they are taken: each tenth is the oldest.
local function takeNext(ready, most, claimed)
  local ids = {}
  while #ids < most do
    local toOldest = OLDEST_EVERY - 1 - (claimed + #ids) % OLDEST_EVERY
    local found
    if toOldest == 0 then
      found = popOldest(ready)
    else
      local last = math.min(most - #ids, toOldest) - 1
      found = redis.call('ZRANGE', ready, 0, last)
      redis.call('ZREMRANGEBYRANK', ready, 0, last)
    end
    if #found == 0 then
      break
    end
    for _, id in ipairs(found) do
      ids[#ids + 1] = id
    end
  end
  return ids
end

-- The state of a task that was touched before, now leased; and the event that goes with it.
local function leaseAgain(task, lease, version, now)
  local event
  task.resumes = task.state == 'woken'
  if not task.resumes then
    task.attempt, task.rev, task.updated = task.attempt + 1, task.rev + 1, now
    event = task.rev
  end
  task.state, task.since, task.updated = 'leased', now, now
  task.token, task.worker, task.expires = lease.token, lease.worker, lease.expires
  task.version, task.began = version, task.began or now
  return event
end

local function leaseLine(prefix, meta, changes, expires, ids)
  if expires >= (tonumber(meta[8]) or 0) then
    local text = format('%d', expires)
    redis.call('RPUSH', prefix .. '@leases', text .. ' ' .. table.concat(ids, ' '))
    changes[#changes + 1] = 'last_leases'
    changes[#changes + 1] = text
    return
  end
  for _, id in ipairs(ids) do
    redis.call('ZADD', prefix .. '@due', expires, 'leases\n' .. id)
  end
end

local function indexDue(prefix, indexed, changes, now, due, system)
  if indexed <= now or due < indexed then
    changes[#changes + 1] = 'due'
    changes[#changes + 1] = format('%d', due)
    if system then
      redis.call('ZADD', system .. 'due', 'LT', due, prefix:match('{(.*)}'))
    end
  end
end

local function withJournal(prefix, found)
  local task = prefix .. found[1]
  found[3] = redis.call('HVALS', task .. ':steps')
  found[4] = redis.call('HGETALL', task .. ':outcomes')
  found[5] = redis.call('LLEN', task .. ':changes')
  return found
end

-- What is left for workers that run this, whoever holds a suspect.
local function leftFor(prefix, runs, hasGroups)
  if redis.call('EXISTS', prefix .. '@ready') == 1 then
    return true
  end
  for _, group in ipairs(hasGroups and redis.call('SMEMBERS', prefix .. '@groups') or {}) do
    if runsGroup(runs, group) then
      return true
    end
  end
  return false
end

-- The first lines of the state of all plain tasks that a claim takes. Their version follows, and then the end.
local PLAIN_END = ',"plain":true}'

local function plainState(lease, now)
  return '{"state":"leased","token":' .. cjson.encode(lease.token) .. ',"worker":' .. cjson.encode(lease.worker)
    .. format(',"expires":%d,"since":%d,"began":%d,"attempt":1,"rev":2,"version":', lease.expires, now, now)
end

-- Enough of a task's first line for its type, its place and its priority.
local TYPE_BYTES = 144
local HEAD_BYTES = 4096

-- Leases one task: what is stored of it, what is told, and what the adapter gets. The task itself it reads by itself.
local function leaseOne(visit, id, known)
  local lease, runs = visit.lease, visit.runs
  local record = redis.pcall('GETRANGE', visit.prefix .. id, 0, TYPE_BYTES - 1)
  local type = type(record) == 'string' and record:match('^{"at":%d+,"place":%d+,"type":"([^"]*)"')
  if not type then
    -- An id whose task is gone, or is none, is dropped, and nothing else with it.
    return
  end
  local task = known and cjson.decode(known)
  local suspect = task and task.lost
  local version = canRun(runs, type, task and task.version)
  if not version or (suspect and not lease.maySuspect) then
    setAside(visit.prefix, groupOf(type, task and task.version, suspect), id, record, task)
    visit.aside = true
    return
  end
  local states, told, out, taken = visit.states, visit.told, visit.out, visit.taken
  taken[#taken + 1] = id
  states[#states + 1] = id
  if not task then
    local text = lease.plain[version]
    if not text then
      text = lease.opening .. version .. PLAIN_END
      lease.plain[version] = text
    end
    visit.started = visit.started + 1
    states[#states + 1] = text
    told[#told + 1] = '["s","' .. id .. '",2,null,{"attempt":1}]'
    out[#out + 1] = { id, version }
    return
  end
  if task.state == 'ready' then
    visit.started = visit.started + 1
  end
  local rev = leaseAgain(task, lease, version, visit.now)
  lease.maySuspect = lease.maySuspect and not suspect
  states[#states + 1] = cjson.encode(task)
  out[#out + 1] = { id, states[#states] }
  if task.journal then
    withJournal(visit.prefix, out[#out])
  end
  if rev then
    local head = redis.call('GETRANGE', visit.prefix .. id, 0, HEAD_BYTES - 1)
    local session = head:match('^[^\n]*"session_id":("[^"]*")') or 'null'
    told[#told + 1] = '["s","' .. id .. '",' .. rev .. ',' .. session .. ',{"attempt":' .. task.attempt .. '}]'
  end
end

local function saveVisit(visit, meta, events, system)
  local prefix, now, changes = visit.prefix, visit.now, {}
  local function change(field, value)
    changes[#changes + 1] = field
    changes[#changes + 1] = format('%d', value)
  end
  if visit.aside then
    change('groups', 1)
  end
  if #visit.taken > 0 then
    redis.call('HSET', prefix .. '@live', unpack(visit.states))
    leaseLine(prefix, meta, changes, visit.lease.expires, visit.taken)
    indexDue(prefix, tonumber(meta[13]) or 0, changes, now, visit.lease.expires, system)
    change('pending', (tonumber(meta[2]) or 0) - visit.started)
    change('processing', (tonumber(meta[3]) or 0) + visit.started)
    change('running', (tonumber(meta[4]) or 0) + #visit.taken)
    change('claimed', (tonumber(meta[5]) or 0) + #visit.taken)
  end
  if #visit.told > 0 then
    local seq = (tonumber(meta[1]) or 0) + #visit.told
    change('seq', seq)
    local entry = '[' .. format('%d', now) .. ',' .. table.concat(visit.told, ',') .. ']'
    redis.call('XADD', events, format('%d-0', seq), 'e', entry)
    trimEvents(events, seq, #visit.told)
    if now < (tonumber(meta[10]) or 0) then
      redis.call('PUBLISH', events, seq .. ' ' .. entry)
    end
  end
  if #changes > 0 then
    redis.call('HSET', prefix .. '@meta', unpack(changes))
  end
end

local function visit(prefix, events, now, most, lease, runs, system)
  local meta = redis.call('HMGET', prefix .. '@meta', 'seq', 'pending', 'processing', 'running', 'claimed', 'max_running',
    'paused', 'last_leases', 'groups', 'followed', 'generation', 'weight', 'due')
  local claimed = tonumber(meta[5]) or 0
  local room = meta[6] and tonumber(meta[6]) - (tonumber(meta[4]) or 0) or most
  if meta[7] == '1' or room <= 0 then
    return {}, false, meta
  end
  most = math.min(most, room)
  local ready = prefix .. '@ready'
  if meta[9] then
    takeBack(prefix, runs, lease.maySuspect)
  end
  local this = {
    prefix = prefix, now = now, lease = lease, runs = runs,
    out = {}, states = {}, taken = {}, told = {}, started = 0, aside = false,
  }
  for _ = 1, LOOK_AHEAD do
    local ids = takeNext(ready, most - #this.taken, claimed + #this.taken)
    if #ids == 0 then
      break
    end
    local known = redis.call('HMGET', prefix .. '@live', unpack(ids))
    for at, id in ipairs(ids) do
      leaseOne(this, id, known[at])
    end
    if #this.taken >= most then
      break
    end
  end
  saveVisit(this, meta, events, system)
  return this.out, leftFor(prefix, runs, meta[9] or this.aside), meta
end
