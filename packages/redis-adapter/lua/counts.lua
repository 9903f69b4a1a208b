-- The tenant's counters.
--
-- @return its fields and values, how many are ready, and since when the one that has waited longest exists, epoch
--@reads
--@include time tenant epoch oldest
-- Those in line, and those that were set aside.
local lines = { PREFIX .. '@ready' }
for _, group in ipairs(redis.call('SMEMBERS', PREFIX .. '@groups')) do
  lines[#lines + 1] = PREFIX .. '@aside:' .. group
end
local ready, oldest, oldestSequence = 0, nil, nil
for _, line in ipairs(lines) do
  ready = ready + redis.call('ZCARD', line)
  local id, sequence = oldestIn(line)
  if id and (not oldest or sequence < oldestSequence) then
    oldest, oldestSequence = id, sequence
  end
end
local at = oldest and redis.call('GETRANGE', PREFIX .. oldest, 0, 40):match('^{"at":(%d+)')
return { redis.call('HGETALL', META), ready, at or false, epochOfLog() }
