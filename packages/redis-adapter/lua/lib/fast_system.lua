-- The same as system, for the scripts that do one thing to many tasks. Uses: meta (4 due, 6 paused, 7 max_running,
-- 8 running, 9 generation, 10 known), due, waited (whether tasks became ready), now, changes, effects.
local TENANT = PREFIX:match('{(.*)}')
local indexed = tonumber(meta[4]) or 0
if due and (indexed <= now or due < indexed) then
  changes[#changes + 1] = 'due'
  changes[#changes + 1] = due
  if SYSTEM then
    redis.call('ZADD', SYSTEM .. 'due', 'LT', due, TENANT)
  else
    effects[#effects + 1] = { 'due', due }
  end
end
if waited and meta[6] ~= '1' and not (meta[7] and (tonumber(meta[8]) or 0) >= tonumber(meta[7])) then
  if SYSTEM then
    joinRotations(SYSTEM, TENANT)
  else
    local generation = (tonumber(meta[9]) or 0) + 1
    changes[#changes + 1] = 'generation'
    changes[#changes + 1] = generation
    effects[#effects + 1] = { 'ready', generation }
  end
end
if not meta[10] then
  for field, value in pairs({ known = 1, epoch = string.format('%x', now) }) do
    changes[#changes + 1] = field
    changes[#changes + 1] = value
  end
  redis.call('ZADD', PREFIX .. '@due', now + $maxEventAgeMs, 'events\n')
  if SYSTEM then
    redis.call('ZADD', SYSTEM .. 'tenants', 0, TENANT)
  else
    effects[#effects + 1] = { 'tenant' }
  end
end
redis.call('HSET', META, unpack(changes))
