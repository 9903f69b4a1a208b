-- Timers. Most are scheduled in the order of their due time and are appended to a list ("time rest"); a timer due before the
-- end of its list goes into @due, by time.
-- @include scripts/due_order scripts/tenant
local earliest

local function dueAt(at)
  if not earliest or at < earliest then
    earliest = at
  end
end

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
