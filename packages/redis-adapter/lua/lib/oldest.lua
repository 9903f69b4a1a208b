-- Which ready task has waited longest: the first of each priority is a candidate.
local PLACES = 1e14

-- The oldest in one of the lines, and its place.
local function oldestIn(line)
  local oldest, oldestPlace
  local from = '-inf'
  while true do
    local first = redis.call('ZRANGEBYSCORE', line, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if not first[1] then
      return oldest, oldestPlace
    end
    local score = tonumber(first[2])
    local place = score % PLACES
    if not oldest or place < oldestPlace then
      oldest, oldestPlace = first[1], place
    end
    from = score - place + PLACES
  end
end

-- Ready tasks: those in line and those that were set aside. Their number, and the oldest.
local function allReady()
  local count, oldest, oldestPlace = 0, nil, nil
  local lines = { PREFIX .. '@ready' }
  for _, group in ipairs(redis.call('SMEMBERS', PREFIX .. '@groups')) do
    lines[#lines + 1] = PREFIX .. '@aside:' .. group
  end
  for _, line in ipairs(lines) do
    count = count + redis.call('ZCARD', line)
    local id, place = oldestIn(line)
    if id and (not oldest or place < oldestPlace) then
      oldest, oldestPlace = id, place
    end
  end
  return count, oldest
end
