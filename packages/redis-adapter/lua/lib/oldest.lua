-- Which task of a line has waited longest: the first of each priority is a candidate. Its id and place.
local PLACES = 1e14

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
