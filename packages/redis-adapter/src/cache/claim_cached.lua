-- A cached value, or the lease to compute it.
--
-- @keys   see cache/lib/cache
-- @args   now · digest · token of the computation · lease in ms · bytes of the entry without a value · {kind, collection, session}
-- @return 'hit' · token · what is stored; 'claimed'; 'computing' · token · what is left of the lease in ms
-- @include cache/cache cache/cache_room scripts/time
local digest, token, life, bytes = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local known = readEntry(digest)
if known and known.till > now then
  local stored = known.stored and redis.call('GET', CACHE .. ':' .. digest)
  if stored then
    return { 'hit', known.token, stored }
  end
  if not known.stored then
    if known.token == token then
      return { 'claimed' }
    end
    if not known.awaited then
      known.awaited = true
      redis.call('HSET', ENTRIES, digest, cjson.encode(known))
    end
    return { 'computing', known.token, known.till - now }
  end
end
if known then
  removeEntry(digest, known)
end
makeRoom(bytes)
local entry = cjson.decode(ARGV[6])
entry.token, entry.seq = token, redis.call('HINCRBY', SUM, 'seq', 1)
saveEntry(digest, entry, now + life, bytes)
return { 'claimed' }
