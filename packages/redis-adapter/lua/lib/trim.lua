-- The log keeps its newest events. Looking whether it is too long costs as much as appending, so it is done now and then.
local KEPT_EVENTS, TRIM_EVERY = $maxEvents, 100

local function trimEvents(events, seq, appended)
  if seq % TRIM_EVERY < appended and seq > KEPT_EVENTS then
    redis.call('XTRIM', events, 'MINID', '~', string.format('%d', seq - KEPT_EVENTS))
  end
end
