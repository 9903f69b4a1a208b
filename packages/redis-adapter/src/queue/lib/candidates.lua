-- Candidates of a tenant for a claim: the most urgent first, every tenth time the oldest, within the claim's budget.
-- @include queue/claim_budget queue/oldest
local OLDEST_EVERY = 10

-- Whether the next `max` tasks come before an oldest one.
local function beforeOldest(claimed, max)
  return claimed % OLDEST_EVERY + max < OLDEST_EVERY
end

local function queuePriorityOf(score)
  return math.floor(score / SEQUENCES)
end

-- The first `max`, and the first `each` of every priority: by priority {ids, sequences}; and the ids of the former.
local function firstByPriority(ready, max, each)
  local priorities, front = {}, {}
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
  local found = redis.call('ZRANGE', ready, 0, max - 1, 'WITHSCORES')
  for at = 1, #found, 2 do
    front[#front + 1] = found[at]
  end
  local name
  while #found > 0 do
    local queue_priority, rest
    name, queue_priority, rest = add(found)
    priorities[name] = queue_priority
    found = rest and { unpack(found, rest) } or {}
  end
  -- The last priority found may have more, and others may follow.
  local from = name * SEQUENCES
  while true do
    found = redis.call('ZRANGEBYSCORE', ready, from, '+inf', 'WITHSCORES', 'LIMIT', 0, each)
    if #found == 0 then
      return priorities, front
    end
    local queue_priority
    name, queue_priority = add(found)
    if not priorities[name] or #priorities[name].ids < #queue_priority.ids then
      priorities[name] = queue_priority
    end
    from = (name + 1) * SEQUENCES
  end
end

-- The next `max`: every tenth is the oldest, whatever its priority.
local function withOldest(ready, max, claimed)
  local priorities, front = firstByPriority(ready, max, math.ceil(max / OLDEST_EVERY) + 1)
  local ids, taken, first = {}, {}, 1
  for number = claimed, claimed + max - 1 do
    local best
    if number % OLDEST_EVERY == OLDEST_EVERY - 1 then
      for _, queue_priority in pairs(priorities) do
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

-- Removes the first candidate that exceeds the claim's budget, and all behind it. Returns whether there are such.
local function trimToBudget(claiming, ids)
  local lease = claiming.lease
  local reserved = { hasSome = lease.hasSome, bytesLeft = lease.bytesLeft }
  for at, id in ipairs(ids) do
    local bytes = redis.call('STRLEN', claiming.prefix .. id)
    if not fitsBudget(reserved, bytes) then
      for behind = #ids, at, -1 do
        ids[behind] = nil
      end
      return true
    end
    charge(reserved, bytes)
    claiming.bytes[id] = bytes
  end
  return false
end

-- Removes the next `max` ids from the queue. Returns them in claim order, and whether more are left.
local function takeCandidates(claiming, max, claimed)
  local ready = claiming.prefix .. '@ready'
  local ids = redis.call('ZRANGE', ready, 0, max)
  local more = #ids > max
  ids[max + 1] = nil
  local areFirst = true
  if (more or #ids > 1) and not beforeOldest(claimed, #ids) then
    local last = redis.call('ZRANGE', ready, -1, -1, 'WITHSCORES')[2]
    -- Within one priority the first is the oldest.
    areFirst = queuePriorityOf(redis.call('ZSCORE', ready, ids[1])) == queuePriorityOf(last)
    ids = areFirst and ids or withOldest(ready, #ids, claimed)
  end
  if claiming.bytes and trimToBudget(claiming, ids) then
    more, claiming.lease.isFull = true, #ids == 0
  end
  if #ids > 0 and areFirst then
    redis.call('ZREMRANGEBYRANK', ready, 0, #ids - 1)
  elseif #ids > 0 then
    redis.call('ZREM', ready, unpack(ids))
  end
  return ids, more
end
