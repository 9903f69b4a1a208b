-- Order of a rotation while tenants are scanned and return to it: by virtual time, then by name. As if each tenant were
-- written back at once, but read in stretches and written once.
local ENTRIES_AT_ONCE = 16
local order = { queue = {}, at = 1, read = 0, over = false, back = {}, gone = {} }

local function precedes(time, tenant, other)
  return time < other.time or (time == other.time and tenant < other.tenant)
end

local function readRotation(rotation)
  while not order.over and not order.queue[order.at] do
    local found = redis.call('ZRANGE', rotation, order.read, order.read + ENTRIES_AT_ONCE - 1, 'WITHSCORES')
    order.read, order.over = order.read + #found / 2, #found < 2 * ENTRIES_AT_ONCE
    for at = 1, #found, 2 do
      order.queue[#order.queue + 1] = { tenant = found[at], time = tonumber(found[at + 1]) }
    end
  end
end

-- Takes the next tenant out. Returns it, and whether no other is left.
local function nextTenant(rotation)
  readRotation(rotation)
  local first, sequence = order.queue[order.at], nil
  for at, each in ipairs(order.back) do
    if not first or precedes(each.time, each.tenant, first) then
      first, sequence = each, at
    end
  end
  if sequence then
    table.remove(order.back, sequence)
  else
    order.at = order.at + 1
  end
  readRotation(rotation)
  return first, not order.queue[order.at] and #order.back == 0
end

local function returnTenant(entry, time)
  entry.time = time
  order.back[#order.back + 1] = entry
end

local function leaveRotation(entry)
  order.gone[#order.gone + 1] = entry.tenant
end

local function saveRotation(rotation)
  local moved = {}
  for _, entry in ipairs(order.back) do
    moved[#moved + 1] = entry.time
    moved[#moved + 1] = entry.tenant
  end
  if #moved > 0 then
    redis.call('ZADD', rotation, 'XX', unpack(moved))
  end
  if #order.gone > 0 then
    redis.call('ZREM', rotation, unpack(order.gone))
  end
end
