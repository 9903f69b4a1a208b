-- Which tasks of a tenant a claim takes next: the most urgent, each tenth time the oldest, and no more than it may bring.
local OLDEST_EVERY = 10

-- Whether so many are taken before the next one has to be the oldest.
local function beforeOldest(claimed, most)
  return claimed % OLDEST_EVERY + most < OLDEST_EVERY
end

local function laneOf(score)
  return math.floor(score / PLACES)
end

-- The first `most`, and the first `each` of every priority: by priority {ids, places}; and the ids of the former.
local function heads(ready, most, each)
  local lanes, front = {}, {}
  local function add(found)
    local first = tonumber(found[2])
    local lane = { ids = {}, places = {} }
    for at = 1, #found, 2 do
      local score = tonumber(found[at + 1])
      if laneOf(score) ~= laneOf(first) then
        return laneOf(first), lane, at
      end
      lane.ids[#lane.ids + 1] = found[at]
      lane.places[#lane.places + 1] = score % PLACES
    end
    return laneOf(first), lane
  end
  local found = redis.call('ZRANGE', ready, 0, most - 1, 'WITHSCORES')
  for at = 1, #found, 2 do
    front[#front + 1] = found[at]
  end
  local name
  while #found > 0 do
    local lane, rest
    name, lane, rest = add(found)
    lanes[name] = lane
    found = rest and { unpack(found, rest) } or {}
  end
  -- The last of those may have more, and there are those behind.
  local from = name * PLACES
  while true do
    found = redis.call('ZRANGEBYSCORE', ready, from, '+inf', 'WITHSCORES', 'LIMIT', 0, each)
    if #found == 0 then
      return lanes, front
    end
    local lane
    name, lane = add(found)
    if not lanes[name] or #lanes[name].ids < #lane.ids then
      lanes[name] = lane
    end
    from = (name + 1) * PLACES
  end
end

-- The next `most` in turn: each tenth is the oldest, whatever its priority.
local function inTurns(ready, most, claimed)
  local lanes, front = heads(ready, most, math.ceil(most / OLDEST_EVERY) + 1)
  local ids, taken, first = {}, {}, 1
  for turn = claimed, claimed + most - 1 do
    local best
    if turn % OLDEST_EVERY == OLDEST_EVERY - 1 then
      for _, lane in pairs(lanes) do
        while taken[lane.ids[1]] do
          table.remove(lane.ids, 1)
          table.remove(lane.places, 1)
        end
        if lane.ids[1] and (not best or lane.places[1] < best.places[1]) then
          best = lane
        end
      end
    end
    while taken[front[first]] do
      first = first + 1
    end
    local id = best and best.ids[1] or front[first]
    ids[#ids + 1] = id
    taken[id] = true
  end
  return ids
end

-- Leaves those out that the claim has no room for, and all behind them. Whether there are such.
local function leaveLarge(visit, ids)
  local lease = visit.lease
  local ahead = { hasSome = lease.hasSome, bytesLeft = lease.bytesLeft }
  for at, id in ipairs(ids) do
    local bytes = redis.call('STRLEN', visit.prefix .. id)
    if not mayBring(ahead, bytes) then
      for behind = #ids, at, -1 do
        ids[behind] = nil
      end
      return true
    end
    bring(ahead, bytes)
    visit.bytes[id] = bytes
  end
  return false
end

-- Takes out the next `most` ids, in the order in which they are taken; and whether more are left.
local function takeNext(visit, most, claimed)
  local ready = visit.prefix .. '@ready'
  local ids = redis.call('ZRANGE', ready, 0, most)
  local more = #ids > most
  ids[most + 1] = nil
  local areFirst = true
  if (more or #ids > 1) and not beforeOldest(claimed, #ids) then
    local last = redis.call('ZRANGE', ready, -1, -1, 'WITHSCORES')[2]
    -- Within one priority the first is the oldest.
    areFirst = laneOf(redis.call('ZSCORE', ready, ids[1])) == laneOf(last)
    ids = areFirst and ids or inTurns(ready, #ids, claimed)
  end
  if visit.bytes and leaveLarge(visit, ids) then
    more, visit.lease.isFull = true, #ids == 0
  end
  if #ids > 0 and areFirst then
    redis.call('ZREMRANGEBYRANK', ready, 0, #ids - 1)
  elseif #ids > 0 then
    redis.call('ZREM', ready, unpack(ids))
  end
  return ids, more
end
