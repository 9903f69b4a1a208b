-- @keys   system
-- @args   pool
-- @return whether all tenants are to be walked
--@include pools
return openPool(KEYS[1], ARGV[1])
