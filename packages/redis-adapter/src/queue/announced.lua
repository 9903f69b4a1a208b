-- The last announcement of a type.
--
-- @keys   system
-- @args   now · type
-- @return its age in ms · its defaults as JSON, if any · or nothing
-- @reads
-- @include scripts/time
local at, defaults = (redis.call('HGET', KEYS[1] .. 'announced', ARGV[2]) or ''):match('^(%d+) ?(.*)$')
return at and { now - at, defaults } or false
