-- Stores tasks that are free to run: no session, batch, key or time to wait for.
--
-- @keys   see many
-- @args   now · for each tenant: meta, events, tasks, max_waiting, their type or '' when they differ, then for each task:
--         id, 9 - priority, tail, deadline after now, event data
-- @return the time · for each tenant: for each task its place, 0 when its id is taken, -1 when too many wait · effects ·
--         when the first is due · when the log began
--@intake
--@include time rotation trim many types plain_creation
local function submitTo(meta, events, count, first, max, type)
  local new = openCreation(meta)
  local prefix, places = new.prefix, {}
  for at = first, first + (count - 1) * 5, 5 do
    local id, place = ARGV[at], new.seq + 1
    if new.pending >= max then
      places[#places + 1] = redis.call('EXISTS', prefix .. id) == 1 and 0 or -1
    elseif not redis.call('SET', prefix .. id, opening .. format('%d', place) .. ',' .. ARGV[at + 2], 'NX') then
      places[#places + 1] = 0
    else
      places[#places + 1] = place
      addReady(new, id, ARGV[at + 1], place)
      addCreated(new, id, now + ARGV[at + 3], ARGV[at + 4])
    end
  end
  if new.told.count == 0 then
    return { places, {}, false }
  end
  return { places, saveCreated(new, events, type), new.due, new.known[13] or format('%x', now) }
end

-- A lone task of a tenant: the same, with no table for anything.
local function submitOne(meta, events, _, at, max, type)
  local prefix, id, known = meta:sub(1, -6), ARGV[at], countersOf(meta)
  local seq, pending, deadline = (tonumber(known[1]) or 0) + 1, (tonumber(known[2]) or 0) + 1, now + ARGV[at + 3]
  if pending > max or deadline < (tonumber(known[3]) or 0) then
    return submitTo(meta, events, 1, at, max, type)
  end
  local place, till = format('%d', seq), format('%d', deadline)
  if not redis.call('SET', prefix .. id, opening .. place .. ',' .. ARGV[at + 2], 'NX') then
    return { { 0 }, {}, false }
  end
  redis.call('RPUSH', prefix .. '@made', place .. ' ' .. till .. ' ' .. id)
  redis.call('ZADD', prefix .. '@ready', format('%s%014d', ARGV[at + 1], seq), id)
  appendEntry(events, '[' .. nowText .. ',["C",' .. ARGV[at + 4] .. ',"' .. id .. '"]]', 1, seq, known[5])
  local changes = { 'seq', place, 'pending', format('%d', pending), 'last_deadline', till }
  return { { seq }, saveCounters(meta, prefix, known, changes, 1, type, deadline), deadline, known[13] or format('%x', now) }
end

local answers, at = {}, 2
while ARGV[at] do
  local count = tonumber(ARGV[at + 2])
  answers[#answers + 1] = apart(count == 1 and submitOne or submitTo, ARGV[at], ARGV[at + 1], count, at + 5,
    tonumber(ARGV[at + 3]), ARGV[at + 4])
  at = at + 5 + count * 5
end
return { now, answers }
