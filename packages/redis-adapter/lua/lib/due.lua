-- Timers. Most are scheduled in the order of their due time and are appended to a list ("time rest"); a timer due before the
-- end of its list goes into @due, by time.
local RETENTION, DEAD_RETENTION, GRACE = $retentionMs, $deadLetterRetentionMs, $cancelGraceMs
local earliest

local function dueAt(at)
  if not earliest or at < earliest then
    earliest = at
  end
end

-- A later deadline would block the list of all tasks, which is trimmed from its front once that is checked.
local LONGEST_IN_ORDER = 60 * 60 * 1000

-- Timers due in the same millisecond fire in the order of their scheduling: a fraction of a millisecond keeps it.
local ORDERED = 1000

local function schedule(kind, moment, what)
  -- Whole milliseconds, rounded up: a timer never fires early.
  local at = math.ceil(moment)
  local order = (count('scheduled') + 1) % ORDERED
  setMeta('scheduled', order)
  redis.call('ZADD', DUE, at + order / ORDERED, kind .. '\n' .. what)
  dueAt(at)
end

local function scheduleInOrder(kind, at, ids)
  local field = 'last_' .. kind
  if at >= count(field) then
    redis.call('RPUSH', PREFIX .. '@' .. kind, at .. ' ' .. table.concat(ids, ' '))
    setMeta(field, at)
    dueAt(at)
    return
  end
  for _, id in ipairs(ids) do
    schedule(kind, at, id)
  end
end
