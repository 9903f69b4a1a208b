-- Removes the entries with all of the given fields: a portion of those after one number, up to another.
--
-- @keys   see cache/lib/cache
-- @args   now · number to start after · last number, or '' for that of the last computation so far · collection, kind, session, each or ''
-- @return entries removed · last number · number to continue after, if there may be more
-- @include cache/cache generated/rules scripts/time
local after, last = ARGV[2], ARGV[3]
if last == '' then
  last = redis.call('HGET', SUM, 'seq') or '0'
end
local found = redis.call('ZRANGEBYSCORE', ORDER, '(' .. after, last, 'WITHSCORES', 'LIMIT', 0, CACHED_AT_ONCE)
local removed = 0
for at = 1, #found, 2 do
  local entry = readEntry(found[at])
  local isMeant = entry and (ARGV[4] == '' or entry.collection == ARGV[4]) and (ARGV[5] == '' or entry.kind == ARGV[5])
    and (ARGV[6] == '' or entry.session == ARGV[6])
  if isMeant then
    removed = removed + (entry.till > now and 1 or 0)
    removeEntry(found[at], entry)
  end
end
return { removed, last, #found == 2 * CACHED_AT_ONCE and found[#found] }
