-- A stretch of the sessions, newest first.
--
-- @args   after (id) or '' · how many
-- @return fields of each; nothing when there is no session `after`
--@reads
--@include time tenant
local key, from = PREFIX .. '@sessions', 0
if ARGV[2] ~= '' then
  local rank = redis.call('ZREVRANK', key, ARGV[2])
  if not rank then
    return false
  end
  from = rank + 1
end
local found = {}
for _, id in ipairs(redis.call('ZREVRANGE', key, from, from + ARGV[3] - 1)) do
  found[#found + 1] = { id, redis.call('HGETALL', NAMESPACE .. ':session:{' .. TENANT .. '}:' .. id) }
end
return found
