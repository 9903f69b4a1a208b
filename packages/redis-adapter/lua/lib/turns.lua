-- Whose turn it is in a rotation, while tenants are scanned and return to it: as if each were written back at once, but
-- read in stretches and written once. Who comes first by virtual time, and by name at the same time.
local STRETCH = 16
local turns = { queue = {}, at = 1, read = 0, over = false, back = {}, gone = {} }

local function comesBefore(time, tenant, other)
  return time < other.time or (time == other.time and tenant < other.tenant)
end

local function readRotation(rotation)
  while not turns.over and not turns.queue[turns.at] do
    local found = redis.call('ZRANGE', rotation, turns.read, turns.read + STRETCH - 1, 'WITHSCORES')
    turns.read, turns.over = turns.read + #found / 2, #found < 2 * STRETCH
    for at = 1, #found, 2 do
      turns.queue[#turns.queue + 1] = { tenant = found[at], time = tonumber(found[at + 1]) }
    end
  end
end

-- Takes out whose turn it is, and whether no other stands there.
local function nextTurn(rotation)
  readRotation(rotation)
  local first, sequence = turns.queue[turns.at], nil
  for at, each in ipairs(turns.back) do
    if not first or comesBefore(each.time, each.tenant, first) then
      first, sequence = each, at
    end
  end
  if sequence then
    table.remove(turns.back, sequence)
  else
    turns.at = turns.at + 1
  end
  readRotation(rotation)
  return first, not turns.queue[turns.at] and #turns.back == 0
end

local function returnAt(turn, time)
  turn.time = time
  turns.back[#turns.back + 1] = turn
end

local function leaveRotation(turn)
  turns.gone[#turns.gone + 1] = turn.tenant
end

local function saveRotation(rotation)
  local moved = {}
  for _, turn in ipairs(turns.back) do
    moved[#moved + 1] = turn.time
    moved[#moved + 1] = turn.tenant
  end
  if #moved > 0 then
    redis.call('ZADD', rotation, 'XX', unpack(moved))
  end
  if #turns.gone > 0 then
    redis.call('ZREM', rotation, unpack(turns.gone))
  end
end
