-- @keys   system
-- @args   now · pool
-- @return whether the caller has to reconcile all tenants
--@include time pools
return openPool(KEYS[1], ARGV[2], now)
