-- Prolongs the lease of a computation.
--
-- @keys   see cache/lib/cache
-- @args   now · digest · token · lease in ms
-- @return 1, or 0: it has ended
-- @include cache/cache scripts/time
local digest, token, life = ARGV[2], ARGV[3], tonumber(ARGV[4])
local entry = holdingEntry(digest)
if not entry or entry.stored or entry.token ~= token then
  return 0
end
saveEntry(digest, entry, now + life, entry.bytes)
return 1
