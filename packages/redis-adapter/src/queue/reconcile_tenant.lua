-- Repairs a tenant after a crash between two steps: its rotations and its index of due times.
--
-- @args   1: the list of tenants may lack it
-- @include scripts/due scripts/system scripts/tenant
if not exists() then
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
first(redis.call('LINDEX', PREFIX .. '@created', count('checked')), '^%d+ (%d+)')
first(redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2], '^%d+')
-- Indexed again, whatever was indexed before.
meta.due = nil
if not SYSTEM and ARGV[2] == '1' then
  effects[#effects + 1] = { 'tenant' }
end
return finish(1)
