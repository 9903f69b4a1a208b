-- @keys   the session
-- @return its recent history, oldest first, as "id newline JSON"; nothing when there is no such session
--@reads
return redis.call('EXISTS', KEYS[1]) == 1 and redis.call('LRANGE', KEYS[1] .. ':messages', 0, -1)
