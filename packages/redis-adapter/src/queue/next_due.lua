-- Due time of the first timer of all tenants.
--
-- @keys   system
-- @args   now
-- @return due time, if any · the time
-- @reads
-- @include scripts/time
return { redis.call('ZRANGE', KEYS[1] .. 'due', 0, 0, 'WITHSCORES')[2] or false, now }
