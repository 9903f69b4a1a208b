-- Fires the due timers of a tenant within the limits of a step, and returns when the next one is due.
--
-- @leases @retention  lists of "time id id …" · @created  of "sequence deadline id id …", checked up to meta's `checked`
-- @due  "kind newline what" by time
-- @args   limit
-- @return timers fired, as kind, count, kind, count … · due time of the next one · the time
-- @include queue/timers scripts/due scripts/system scripts/tenant scripts/time tasks/task_end
if not exists() then
  -- Another sweep has just forgotten it.
  leaveSystem()
  return { { {}, false, now }, effects, false }
end
local left, done = tonumber(ARGV[2]), {}
local function perform(kind, what)
  left = left - 1
  spend(1)
  if timers[kind](what) then
    done[kind] = (done[kind] or 0) + 1
  end
end

-- The source whose first timer is due before those of all others, and its due time.
local earliestSource
do
  -- Chunks of @created whose deadlines are in @due.
  local SKIPPED_PER_STEP = 100

  -- The front of a list; what exceeds the budget is written back.
  local function takeChunk(kind)
    local key = PREFIX .. '@' .. kind
    local at, ids = redis.call('LINDEX', key, 0):match('^(%d+) (.*)$')
    local rest = {}
    for id in ids:gmatch('%S+') do
      if left > 0 and budget > 0 then
        perform(kind, id)
      else
        rest[#rest + 1] = id
      end
    end
    if #rest > 0 then
      redis.call('LSET', key, 0, at .. ' ' .. table.concat(rest, ' '))
    else
      redis.call('LPOP', key)
    end
  end

  -- The chunk at `checked`, of which `checked_ids` are done. Its ids are not removed: @created is the list of all tasks too.
  local function takeDeadlines()
    local chunk = redis.call('LINDEX', PREFIX .. '@created', count('checked')) or ''
    local deadline, ids = chunk:match('^%d+ (%d+) (.*)$')
    deadline = tonumber(deadline) or 0
    if deadline == 0 or deadline > now then
      -- The first one after many that are in @due: its own time counts.
      left = left - 1
      spend(1)
      return
    end
    local at, before = 0, count('checked_ids')
    for id in ids:gmatch('%S+') do
      at = at + 1
      if at > before and (left <= 0 or budget <= 0) then
        setMeta('checked_ids', at - 1)
        return
      end
      if at > before then
        perform('deadline', id)
      end
    end
    if before > 0 then
      setMeta('checked_ids', 0)
    end
    addMeta('checked', 1)
  end

  local function takeOther()
    local timer = redis.call('ZRANGE', DUE, 0, 0)[1]
    redis.call('ZREM', DUE, timer)
    perform(timer:match('^([^\n]*)\n(.*)$'))
  end

  -- Due time of the first timer of each source.
  local sources = {
    { kind = 'leases', take = takeChunk, pattern = '^%d+' },
    { kind = 'created', take = takeDeadlines, pattern = '^%d+ (%d+)' },
    { kind = 'due', take = takeOther },
    { kind = 'retention', take = takeChunk, pattern = '^%d+' },
  }
  local function firstOf(source)
    if source.kind == 'due' then
      local at = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
      return at and math.floor(at)
    end
    if source.kind ~= 'created' then
      local text = redis.call('LINDEX', PREFIX .. '@' .. source.kind, 0)
      return text and tonumber(text:match(source.pattern))
    end
    for _ = 1, SKIPPED_PER_STEP do
      local text = redis.call('LINDEX', PREFIX .. '@created', count('checked'))
      local at = text and tonumber(text:match(source.pattern))
      if at ~= 0 then
        return at
      end
      addMeta('checked', 1)
    end
    -- There may be more of those: the next step continues.
    return now
  end
  function earliestSource()
    local first, firstAt
    for _, source in ipairs(sources) do
      local at = firstOf(source)
      if at and (not firstAt or at < firstAt) then
        first, firstAt = source, at
      end
    end
    return first, firstAt
  end
end

while left > 0 and budget > 0 do
  local source, at = earliestSource()
  if not source or at > now then
    break
  end
  source.take(source.kind)
end
trimCreated()

-- Timers scheduled by this sweep are among the remaining ones.
local _, next = earliestSource()
earliest = nil
setMeta('due', next or 0)
-- A sweep reports readiness again: the answer of an earlier one may have been lost.
if not SYSTEM and redis.call('EXISTS', READY) == 1 then
  becameReady = true
end
if SYSTEM and next then
  redis.call('ZADD', SYSTEM .. 'due', next, TENANT)
elseif SYSTEM then
  redis.call('ZREM', SYSTEM .. 'due', TENANT)
end
local flat = {}
for kind, times in pairs(done) do
  flat[#flat + 1] = kind
  flat[#flat + 1] = times
end
local answer = finish({ flat, next or false, now })
if isForgotten then
  redis.call('DEL', META)
  leaveSystem()
end
return answer
