-- The task of a queue that has waited longest: the first of each priority is a candidate. Its id and sequence.
local SEQUENCES = 1e14

local function oldestIn(queue)
  local oldest, oldestSequence
  local from = '-inf'
  while true do
    local first = redis.call('ZRANGEBYSCORE', queue, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if not first[1] then
      return oldest, oldestSequence
    end
    local score = tonumber(first[2])
    local sequence = score % SEQUENCES
    if not oldest or sequence < oldestSequence then
      oldest, oldestSequence = first[1], sequence
    end
    from = score - sequence + SEQUENCES
  end
end
