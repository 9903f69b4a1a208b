-- When the first duty of all is due.
--
-- @keys   system
--@reads
return redis.call('ZRANGE', KEYS[1] .. 'due', 0, 0, 'WITHSCORES')[2] or false
