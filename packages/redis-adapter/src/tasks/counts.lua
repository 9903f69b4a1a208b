-- The tenant's counters.
--
-- @return fields and values · number of ready tasks · creation time of the one that has waited longest · epoch
-- @reads
-- Ready tasks, and those set aside.
-- @include events/epoch queue/oldest scripts/tenant
local queues = { PREFIX .. '@ready' }
for _, group in ipairs(redis.call('SMEMBERS', PREFIX .. '@groups')) do
  queues[#queues + 1] = PREFIX .. '@aside:' .. group
end
local ready, oldest, oldestSequence = 0, nil, nil
for _, queue in ipairs(queues) do
  ready = ready + redis.call('ZCARD', queue)
  local id, sequence = oldestIn(queue)
  if id and (not oldest or sequence < oldestSequence) then
    oldest, oldestSequence = id, sequence
  end
end
local at = oldest and redis.call('GETRANGE', PREFIX .. oldest, 0, 40):match('^{"at":(%d+)')
return { redis.call('HGETALL', META), ready, at or false, epochOfLog() }
