-- The tenant's counters.
--
-- @return its fields and values, how many are ready, and since when the one that has waited longest exists, epoch
--@reads
--@include tenant epoch oldest
local ready, oldest = allReady()
local at = oldest and redis.call('GETRANGE', PREFIX .. oldest, 0, 40):match('^{"at":(%d+)')
return { redis.call('HGETALL', META), ready, at or false, epochOfLog() }
