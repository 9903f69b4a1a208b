-- Takes tasks of one tenant for a worker. Most of them are plain: submitted, not touched since. Their state is one text
-- for all that are taken at once.
--
-- `runs` is type -> its versions, newest first. Returns {id, first line and payload, state, steps?, outcomes?}…, whether
-- anything that such workers run is left, and the tenant's counters (11 generation, 12 weight).
local PLACES = 2 ^ 44
local OLDEST_EVERY = 10
local MAX_EVENTS = $maxEvents
local LOOK_AHEAD = 100

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

-- The first one of what has been ready for longest, whatever its priority.
local function popOldest(ready)
  local oldest, oldestPlace, from = nil, nil, '-inf'
  while true do
    local first = redis.call('ZRANGEBYSCORE', ready, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if not first[1] then
      break
    end
    local score = tonumber(first[2])
    local place = score % PLACES
    if not oldest or place < oldestPlace then
      oldest, oldestPlace = first, place
    end
    from = score - place + PLACES
  end
  if oldest then
    redis.call('ZREM', ready, oldest[1])
  end
  return oldest
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

local function setAside(prefix, group, id, score)
  redis.call('SADD', prefix .. '@groups', group)
  redis.call('ZADD', prefix .. '@aside:' .. group, score, id)
end

-- The next `most` ids with their scores, in the order in which they are taken: each tenth is the oldest.
local function gather(ready, most, claimed)
  local ids, scores = {}, {}
  while #ids < most do
    local toOldest = OLDEST_EVERY - 1 - (claimed + #ids) % OLDEST_EVERY
    local popped = toOldest == 0 and popOldest(ready)
      or toOldest > 0 and redis.call('ZPOPMIN', ready, math.min(most - #ids, toOldest)) or {}
    if #popped == 0 then
      break
    end
    for at = 1, #popped, 2 do
      ids[#ids + 1] = popped[at]
      scores[#scores + 1] = popped[at + 1]
    end
  end
  return ids, scores
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
    redis.call('RPUSH', prefix .. '@leases', expires .. ' ' .. table.concat(ids, ' '))
    changes[#changes + 1] = 'last_leases'
    changes[#changes + 1] = expires
    return
  end
  for _, id in ipairs(ids) do
    redis.call('ZADD', prefix .. '@due', expires, 'leases\n' .. id)
  end
end

local function indexDue(prefix, indexed, changes, now, due, system)
  if indexed <= now or due < indexed then
    changes[#changes + 1] = 'due'
    changes[#changes + 1] = due
    if system then
      redis.call('ZADD', system .. 'due', 'LT', due, prefix:match('{(.*)}'))
    end
  end
end

local function withJournal(prefix, found)
  local task = prefix .. found[1]
  found[4] = redis.call('HVALS', task .. ':steps')
  found[5] = redis.call('HGETALL', task .. ':outcomes')
  found[6] = redis.call('LLEN', task .. ':changes')
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

local function visit(prefix, events, now, most, lease, runs, system)
  local meta = redis.call('HMGET', prefix .. '@meta', 'seq', 'pending', 'processing', 'running', 'claimed', 'max_running',
    'paused', 'last_leases', 'groups', 'followed', 'generation', 'weight', 'due')
  local seq, pending, processing = tonumber(meta[1]) or 0, tonumber(meta[2]) or 0, tonumber(meta[3]) or 0
  local running, claimed = tonumber(meta[4]) or 0, tonumber(meta[5]) or 0
  local room = meta[6] and tonumber(meta[6]) - running or most
  if meta[7] == '1' or room <= 0 then
    return {}, false, meta
  end
  most = math.min(most, room)
  local ready, live = prefix .. '@ready', prefix .. '@live'
  if meta[9] then
    takeBack(prefix, runs, lease.maySuspect)
  end
  local out, states, taken, told, aside = {}, {}, {}, {}, false
  local plain = '{"state":"leased","token":' .. cjson.encode(lease.token) .. ',"worker":' .. cjson.encode(lease.worker)
    .. ',"expires":' .. lease.expires .. ',"since":' .. now .. ',"began":' .. now .. ',"attempt":1,"rev":2,"version":'
  for _ = 1, LOOK_AHEAD do
    local ids, scores = gather(ready, most - #taken, claimed + #taken)
    if #ids == 0 then
      break
    end
    local keys = {}
    for at, id in ipairs(ids) do
      keys[at] = prefix .. id
    end
    local records = redis.call('MGET', unpack(keys))
    local known = redis.call('HMGET', live, unpack(ids))
    for at, id in ipairs(ids) do
      local record = records[at]
      local type = record:match('^{"at":%d+,"place":%d+,"type":"([^"]*)"')
      local task = known[at] and cjson.decode(known[at])
      local suspect = task and task.lost
      local version = canRun(runs, type, task and task.version)
      if not version or (suspect and not lease.maySuspect) then
        local group = groupOf(type, task and task.version, suspect)
        setAside(prefix, group, id, scores[at])
        aside = true
      else
        local rev = 2
        local session = 'null'
        if task then
          local wasReady = task.state == 'ready'
          rev = leaseAgain(task, lease, version, now)
          if wasReady then
            pending, processing = pending - 1, processing + 1
          end
          if suspect then
            lease.maySuspect = false
          end
          states[#states + 1] = id
          states[#states + 1] = cjson.encode(task)
          out[#out + 1] = { id, record, states[#states] }
          if task.journal then
            withJournal(prefix, out[#out])
          end
          session = record:match('"session_id":("[^"]*")') or 'null'
        else
          pending, processing = pending - 1, processing + 1
          states[#states + 1] = id
          states[#states + 1] = plain .. version .. ',"plain":true}'
          out[#out + 1] = { id, record, states[#states] }
        end
        taken[#taken + 1] = id
        if rev then
          told[#told + 1] = '["s","' .. id .. '",' .. rev .. ',' .. session .. ',{"attempt":'
            .. (task and task.attempt or 1) .. '}]'
        end
      end
    end
    if #taken >= most then
      break
    end
  end
  local changes = {}
  if aside then
    changes = { 'groups', 1 }
  end
  if #taken > 0 then
    seq = seq + #told
    redis.call('HSET', live, unpack(states))
    leaseLine(prefix, meta, changes, lease.expires, taken)
    indexDue(prefix, tonumber(meta[13]) or 0, changes, now, lease.expires, system)
    for field, value in pairs({ seq = seq, pending = pending, processing = processing, running = running + #taken, claimed = claimed + #taken }) do
      changes[#changes + 1] = field
      changes[#changes + 1] = value
    end
  end
  if #told > 0 then
    local entry = '[' .. now .. ',' .. table.concat(told, ',') .. ']'
    redis.call('XADD', events, 'MINID', '~', math.max(1, seq - MAX_EVENTS), seq .. '-0', 'e', entry)
    if now < (tonumber(meta[10]) or 0) then
      redis.call('PUBLISH', events, seq .. ' ' .. entry)
    end
  end
  if #changes > 0 then
    redis.call('HSET', prefix .. '@meta', unpack(changes))
  end
  return out, leftFor(prefix, runs, meta[9] or aside), meta
end
