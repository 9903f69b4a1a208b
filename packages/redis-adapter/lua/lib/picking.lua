-- Which tasks of a tenant a claim takes next: the most urgent, each tenth time the oldest, and no more than it may bring.
local OLDEST_EVERY = 10

-- Whether so many are taken before the next one has to be the oldest.
local function beforeOldest(claimed, most)
  return claimed % OLDEST_EVERY + most < OLDEST_EVERY
end

local function queuePriorityOf(score)
  return math.floor(score / SEQUENCES)
end

-- The first `most`, and the first `each` of every priority: by priority {ids, sequences}; and the ids of the former.
local function headers(ready, most, each)
  local levels, front = {}, {}
  local function add(found)
    local first = tonumber(found[2])
    local queue_priority = { ids = {}, sequences = {} }
    for at = 1, #found, 2 do
      local score = tonumber(found[at + 1])
      if queuePriorityOf(score) ~= queuePriorityOf(first) then
        return queuePriorityOf(first), queue_priority, at
      end
      queue_priority.ids[#queue_priority.ids + 1] = found[at]
      queue_priority.sequences[#queue_priority.sequences + 1] = score % SEQUENCES
    end
    return queuePriorityOf(first), queue_priority
  end
  local found = redis.call('ZRANGE', ready, 0, most - 1, 'WITHSCORES')
  for at = 1, #found, 2 do
    front[#front + 1] = found[at]
  end
  local name
  while #found > 0 do
    local queue_priority, rest
    name, queue_priority, rest = add(found)
    levels[name] = queue_priority
    found = rest and { unpack(found, rest) } or {}
  end
  -- The last of those may have more, and there are those behind.
  local from = name * SEQUENCES
  while true do
    found = redis.call('ZRANGEBYSCORE', ready, from, '+inf', 'WITHSCORES', 'LIMIT', 0, each)
    if #found == 0 then
      return levels, front
    end
    local queue_priority
    name, queue_priority = add(found)
    if not levels[name] or #levels[name].ids < #queue_priority.ids then
      levels[name] = queue_priority
    end
    from = (name + 1) * SEQUENCES
  end
end

-- The next `most` in turn: each tenth is the oldest, whatever its priority.
local function inTurns(ready, most, claimed)
  local levels, front = headers(ready, most, math.ceil(most / OLDEST_EVERY) + 1)
  local ids, taken, first = {}, {}, 1
  for turn = claimed, claimed + most - 1 do
    local best
    if turn % OLDEST_EVERY == OLDEST_EVERY - 1 then
      for _, queue_priority in pairs(levels) do
        while taken[queue_priority.ids[1]] do
          table.remove(queue_priority.ids, 1)
          table.remove(queue_priority.sequences, 1)
        end
        if queue_priority.ids[1] and (not best or queue_priority.sequences[1] < best.sequences[1]) then
          best = queue_priority
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
    areFirst = queuePriorityOf(redis.call('ZSCORE', ready, ids[1])) == queuePriorityOf(last)
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
