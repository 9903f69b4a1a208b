-- What becomes due. Most of it comes in the order in which it becomes due and is appended to a list ("time rest");
-- what is earlier than the end of its list goes into @due, by time.
local RETENTION, DEAD_RETENTION, GRACE = $retentionMs, $deadLetterRetentionMs, $cancelGraceMs
local earliest

local function dueAt(at)
  if not earliest or at < earliest then
    earliest = at
  end
end

-- A deadline farther away would hold up the list of all tasks, which is let go of from its front once it is checked.
local LONGEST_IN_ORDER = 60 * 60 * 1000

-- What is due in the same millisecond is done in the order in which it was scheduled: a fraction of a millisecond says which.
local ORDERED = 1000

local function schedule(kind, moment, what)
  -- Whole milliseconds, rounded up: nothing is looked at before its time.
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
