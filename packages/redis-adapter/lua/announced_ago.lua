-- How long ago a type was announced.
--
-- @keys   system
-- @args   now · type
--@reads
--@include time
local at = redis.call('HGET', KEYS[1] .. 'announced', ARGV[2])
return at and now - at or false
