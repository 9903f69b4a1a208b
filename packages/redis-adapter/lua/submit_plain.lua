-- Stores tasks that are free to run: no session, batch, key or time to wait for.
--
-- @keys   see many
-- @args   now · for each tenant: meta, events, tasks, max_waiting, their type or '' when they differ, then for each task:
--         id, 9 - priority, tail, deadline after now, event data
-- @return the time · for each tenant: for each task its place, 0 when its id is taken, -1 when too many wait · effects ·
--         when the first is due
--@intake
--@include time rotation trim many types
local CHUNK = 64

-- @made in chunks of the same deadline.
local function addMade(chunks, place, deadline, id)
  local chunk = chunks[#chunks]
  if chunk and chunk.deadline == deadline and #chunk < CHUNK then
    chunk[#chunk + 1] = id
  else
    chunks[#chunks + 1] = { format('%d %d', place, deadline), id, deadline = deadline }
  end
end

local function pushMade(prefix, chunks)
  for at, chunk in ipairs(chunks) do
    chunks[at] = table.concat(chunk, ' ')
  end
  redis.call('RPUSH', prefix .. '@made', unpack(chunks))
end

local opening = '{"at":' .. nowText .. ',"place":'

local function submitTo(meta, events, first, count, max, type)
  local prefix = meta:sub(1, -6)
  local known = redis.call('HMGET', meta, 'seq', 'pending', 'last_deadline', 'due', 'followed', 'known', 'paused', 'max_running',
    'running', 'type', 'processing')
  local seq, pending, last = tonumber(known[1]) or 0, tonumber(known[2]) or 0, tonumber(known[3]) or 0
  local unended = pending + (tonumber(known[11]) or 0)
  local places, ready, told, chunks, due = {}, {}, newTold(), {}, nil
  for at = first, first + (count - 1) * 5, 5 do
    local id, place = ARGV[at], seq + 1
    if pending >= max then
      places[#places + 1] = redis.call('EXISTS', prefix .. id) == 1 and 0 or -1
    elseif not redis.call('SET', prefix .. id, opening .. format('%d', place) .. ',' .. ARGV[at + 2], 'NX') then
      places[#places + 1] = 0
    else
      seq, pending = place, pending + 1
      places[#places + 1] = place
      ready[#ready + 1] = format('%s%014d', ARGV[at + 1], place)
      ready[#ready + 1] = id
      tellCreated(told, id, ARGV[at + 4])
      local deadline = now + ARGV[at + 3]
      due = due and due < deadline and due or deadline
      if deadline < last then
        redis.call('ZADD', prefix .. '@due', deadline, 'deadline\n' .. id)
        addMade(chunks, place, 0, id)
      else
        last = deadline
        addMade(chunks, place, deadline, id)
      end
    end
  end
  if #ready == 0 then
    return { places, {}, false }
  end
  pushMade(prefix, chunks)
  redis.call('ZADD', prefix .. '@ready', unpack(ready))
  appendEvents(events, told, seq, known[5])
  local changes = { 'seq', format('%d', seq), 'pending', format('%d', pending), 'last_deadline', format('%d', last) }
  local only = onlyType(known[10], unended, type)
  if only ~= known[10] then
    changes[#changes + 1] = 'type'
    changes[#changes + 1] = only
  end
  -- Whoever has more than these in line stands in the rotation already.
  local isReady = redis.call('ZCARD', prefix .. '@ready') == told.count and known[7] ~= '1'
    and not (known[8] and (tonumber(known[9]) or 0) >= tonumber(known[8]))
  local effects = tellSystem(prefix, changes, due, tonumber(known[4]) or 0, isReady)
  if not known[6] then
    introduce(prefix, changes, effects)
  end
  redis.call('HSET', meta, unpack(changes))
  return { places, effects, due }
end

local answers, at = {}, 2
while ARGV[at] do
  local count = tonumber(ARGV[at + 2])
  answers[#answers + 1] = apart(submitTo, ARGV[at], ARGV[at + 1], at + 5, count, tonumber(ARGV[at + 3]), ARGV[at + 4])
  at = at + 5 + count * 5
end
return { now, answers }
