-- Stores the content of a ticket, unless too many of the tenant's tickets are open.
--
-- @keys   the tenant's open tickets by expiry; <key>:<id> is a ticket: "expiry spender content"
-- @args   now · id · content · lifetime in ms · maximum of open tickets
-- @return 1 · its expiry; or 0 · the first expiry of the open ones
-- @intake
-- @include scripts/time
local OPEN, PRUNED = KEYS[1], 100
local id, content, life, max = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local known = tonumber((redis.call('GET', OPEN .. ':' .. id) or ''):match('^%d+'))
if known and known > now then
  return { 1, known }
end
for _, expired in ipairs(redis.call('ZRANGEBYSCORE', OPEN, '-inf', now, 'LIMIT', 0, PRUNED)) do
  redis.call('ZREM', OPEN, expired)
end
if redis.call('ZCOUNT', OPEN, '(' .. now, '+inf') >= max then
  local first = redis.call('ZRANGEBYSCORE', OPEN, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return { 0, tonumber(first[2]) }
end
redis.call('ZADD', OPEN, now + life, id)
if life > 0 then
  redis.call('SET', OPEN .. ':' .. id, string.format('%.0f - %s', now + life, content), 'PX', life)
  redis.call('PEXPIRE', OPEN, math.max(life, redis.call('PTTL', OPEN)))
end
return { 1, now + life }
