-- Content of a ticket, for its first spender. It is kept for a repeat by the same spender, among the last ones spent.
--
-- @keys   the tenant's open tickets, see issue_ticket
-- @args   now · id · the spender's id · number of spent tickets kept
-- @return the content; nothing when the ticket has expired, is spent by another, or never existed
-- @include scripts/time
local OPEN, id, spender, kept = KEYS[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local TICKET, SPENT = OPEN .. ':' .. id, OPEN .. ':@spent'
local expiry, spentBy, content = (redis.call('GET', TICKET) or ''):match('^(%d+) (%S+) (.*)$')
if not expiry or tonumber(expiry) <= now then
  return false
end
if spentBy ~= '-' then
  return spentBy == spender and content
end
redis.call('ZREM', OPEN, id)
redis.call('SET', TICKET, expiry .. ' ' .. spender .. ' ' .. content, 'KEEPTTL')
redis.call('RPUSH', SPENT, id)
redis.call('PEXPIRE', SPENT, math.max(redis.call('PTTL', TICKET), redis.call('PTTL', SPENT), 1))
if redis.call('LLEN', SPENT) > kept then
  redis.call('DEL', OPEN .. ':' .. redis.call('LPOP', SPENT))
end
return content
