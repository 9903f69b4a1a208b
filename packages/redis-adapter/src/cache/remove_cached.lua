-- Removes the entry of a computation: its lease, or its value.
--
-- @keys   see cache/lib/cache
-- @args   now · digest · token
-- @return 1 if removed, else 0
-- @include cache/cache
local digest, token = ARGV[2], ARGV[3]
local entry = readEntry(digest)
if not entry or entry.token ~= token then
  return 0
end
removeEntry(digest, entry)
return 1
