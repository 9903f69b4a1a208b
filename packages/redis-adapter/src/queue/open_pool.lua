-- @keys   system
-- @args   now · pool
-- @return whether the caller has to reconcile all tenants
-- @include queue/pools scripts/time
return openPool(KEYS[1], ARGV[2], now)
