-- Steps that nothing else makes repeatable carry an id of their own: it is known for as long as a connection may be away
-- and send them again.
--
-- @change:<id>  there while it is known
local CHANGE, CHANGE_LIVES = PREFIX .. '@change:', 10 * 60 * 1000

local function wasMade(change)
  return redis.call('EXISTS', CHANGE .. change) == 1
end

local function noteChange(change)
  redis.call('SET', CHANGE .. change, 1, 'PX', CHANGE_LIVES)
end
