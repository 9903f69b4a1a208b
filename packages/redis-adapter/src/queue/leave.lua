-- A worker stops: it is no longer alive, and not lost.
--
-- @keys   system
-- @args   now · worker
-- @return whether it was alive
redis.call('ZREM', KEYS[1] .. 'alive', ARGV[2])
return redis.call('HDEL', KEYS[1] .. 'workers', ARGV[2])
