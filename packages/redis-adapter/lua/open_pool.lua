-- @keys   system
-- @args   now · pool
-- @return whether all tenants are to be walked
--@include time pools
return openPool(KEYS[1], ARGV[2], now)
