-- Puts a tenant back where a crash between two steps may have left it out: into the rotations, and the index of due times.
--
-- @args   1: it may not even be known
--@include time tenant state task trim waiting events due rotation system
if not isThere() then
  leaveSystem()
  return { 1, effects, false }
end
if redis.call('EXISTS', READY) == 1 or redis.call('EXISTS', PREFIX .. '@groups') == 1 then
  becameReady = true
end
local function first(text, pattern)
  local at = text and tonumber(text:match(pattern))
  if at and at > 0 then
    dueAt(at)
  end
end
first(redis.call('LINDEX', PREFIX .. '@leases', 0), '^%d+')
first(redis.call('LINDEX', PREFIX .. '@retention', 0), '^%d+')
first(redis.call('LINDEX', PREFIX .. '@made', count('checked')), '^%d+ (%d+)')
first(redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2], '^%d+')
-- Said again, whatever was said before.
meta.due = nil
if not SYSTEM and ARGV[2] == '1' then
  effects[#effects + 1] = { 'tenant' }
end
return finish(1)
