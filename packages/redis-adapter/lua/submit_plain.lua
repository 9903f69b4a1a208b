-- Stores tasks that are free to run: no session, batch, key or time to wait for. Many at once, since a step of its own
-- costs the server more than a task in it.
--
-- @keys   meta, events, system (absent on a Cluster)
-- @args   now · max_waiting · then for each: id, score without place, tail, deadline after now, event data
-- @return for each: place, 0 when its id is taken, -1 when too many wait · the time · effects · when the first is due
--@intake
--@include rotation
local META, EVENTS, SYSTEM = KEYS[1], KEYS[2], KEYS[3]
local PREFIX = META:sub(1, -6)
local MAX_EVENTS = $maxEvents
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local meta = redis.call('HMGET', META, 'seq', 'pending', 'last_deadline', 'due', 'followed', 'paused', 'max_running', 'running', 'generation', 'known')
local seq, pending, last = tonumber(meta[1]) or 0, tonumber(meta[2]) or 0, tonumber(meta[3]) or 0
local before = seq
local max = tonumber(ARGV[2])
local places, ready, told, chunks, chunk = {}, {}, {}, {}, nil
local due, chunkDeadline
for at = 3, #ARGV, 5 do
  local id = ARGV[at]
  local place = seq + 1
  if pending >= max then
    places[#places + 1] = redis.call('EXISTS', PREFIX .. id) == 1 and 0 or -1
  elseif not redis.call('SET', PREFIX .. id, '{"at":' .. now .. ',"place":' .. place .. ',' .. ARGV[at + 2], 'NX') then
    places[#places + 1] = 0
  else
    seq, pending = place, pending + 1
    places[#places + 1] = place
    ready[#ready + 1] = ARGV[at + 1] + place
    ready[#ready + 1] = id
    told[#told + 1] = '["c","' .. id .. '",1,null,' .. ARGV[at + 4] .. ']'
    local deadline = now + ARGV[at + 3]
    due = due and due < deadline and due or deadline
    local inLine = deadline >= last and deadline or 0
    if inLine == 0 then
      redis.call('ZADD', PREFIX .. '@due', deadline, 'deadline\n' .. id)
    else
      last = deadline
    end
    if chunk and chunkDeadline == inLine and #chunk < 64 then
      chunk[#chunk + 1] = id
    else
      if chunk then
        chunks[#chunks + 1] = table.concat(chunk, ' ')
      end
      chunk, chunkDeadline = { place .. ' ' .. inLine, id }, inLine
    end
  end
end
if seq == before then
  return { places, now, {}, false }
end
chunks[#chunks + 1] = table.concat(chunk, ' ')
redis.call('RPUSH', PREFIX .. '@made', unpack(chunks))
local waited = redis.call('ZADD', PREFIX .. '@ready', unpack(ready))
local entry = '[' .. now .. ',' .. table.concat(told, ',') .. ']'
redis.call('XADD', EVENTS, 'MINID', '~', math.max(1, seq - MAX_EVENTS), seq .. '-0', 'e', entry)
if now < (tonumber(meta[5]) or 0) then
  redis.call('PUBLISH', EVENTS, seq .. ' ' .. entry)
end
local changes, effects = { 'seq', seq, 'pending', pending, 'last_deadline', last }, {}
--@include fast_system
return { places, now, effects, due }
