-- When the first timer of all is due.
--
-- @keys   system
-- @args   now
-- @return that, if there is one · the time
--@reads
--@include time
return { redis.call('ZRANGE', KEYS[1] .. 'due', 0, 0, 'WITHSCORES')[2] or false, now }
