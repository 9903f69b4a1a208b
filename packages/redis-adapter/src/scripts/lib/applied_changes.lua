-- Changes without a natural key carry an id: it is remembered for as long as a connection may be away and repeat them.
--
-- @change:<id>  exists while it is remembered
-- @include scripts/tenant
local CHANGE, CHANGE_LIVES = PREFIX .. '@change:', 10 * 60 * 1000

local function wasApplied(change)
  return redis.call('EXISTS', CHANGE .. change) == 1
end

local function rememberChange(change)
  redis.call('SET', CHANGE .. change, 1, 'PX', CHANGE_LIVES)
end
