-- Stores the value of a computation, under its lease.
--
-- @keys   see cache/lib/cache
-- @args   now · digest · token · lifetime in ms · bytes of the value · "tokens, model, value"
-- @return 'stored', 'lost', 'no_room', or 'evicting': repeat it
-- @intake
-- @include cache/cache cache/cache_room generated/rules scripts/time
local digest, token, life, more = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local entry = holdingEntry(digest)
if not entry or entry.token ~= token then
  return 'lost'
end
if entry.stored then
  return 'stored'
end
if entry.bytes + more > MAX_CACHE_BYTES then
  removeEntry(digest, entry)
  return 'no_room'
end
if not makeRoom(more, digest) then
  return 'evicting'
end
redis.call('SET', CACHE .. ':' .. digest, ARGV[6], 'PX', life)
wakeWaiters(digest, entry)
entry.stored, entry.awaited = true, nil
saveEntry(digest, entry, now + life, entry.bytes + more)
return 'stored'
