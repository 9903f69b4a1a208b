-- Ends tasks that asked for nothing and belong to no session or batch. Many at once.
--
-- @keys   meta, events, system (absent on a Cluster)
-- @args   now · then for each: id, token, state (completed or failed), result or error as JSON
-- @return for each: 1 ended, 0 lease lost, -1 not so plain, see settle · the time · effects · when the first is due
--@include rotation
local META, EVENTS, SYSTEM = KEYS[1], KEYS[2], KEYS[3]
local PREFIX = META:sub(1, -6)
local MAX_EVENTS, RETENTION, DEAD_RETENTION = $maxEvents, $retentionMs, $deadLetterRetentionMs
local REFER_ABOVE = 4096
local PLAIN = '^,"worker":"[^"]*","expires":%d+,"since":%d+,"began":(%d+),"attempt":1,"rev":2,"version":(%d+),"plain":true}$'
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local ids = {}
for at = 2, #ARGV, 4 do
  ids[#ids + 1] = ARGV[at]
end
local states = redis.call('HMGET', PREFIX .. '@live', unpack(ids))
local answers, ended, done, told, kept = {}, {}, {}, {}, {}
local completed, failed = 0, 0
for at, id in ipairs(ids) do
  local arg = at * 4 - 2
  local state = states[at]
  local opening = '{"state":"leased","token":' .. cjson.encode(ARGV[arg + 1])
  local began, version
  if state and state:sub(1, #opening) == opening then
    began, version = state:match(PLAIN, #opening + 1)
  end
  if not began then
    answers[at] = state and -1 or 0
  else
    answers[at] = 1
    local outcome, data, more = ARGV[arg + 3], ARGV[arg + 3], ''
    local success = ARGV[arg + 2] == 'completed'
    if success and #outcome > REFER_ABOVE then
      data, more = 'null', ',1'
    end
    ended[#ended + 1] = id
    done[#done + 1] = id
    done[#done + 1] = '{"state":"' .. ARGV[arg + 2] .. '","attempt":1,"rev":3,"began":' .. began .. ',"version":' .. version
      .. ',"ended":' .. now .. '}\n' .. outcome
    told[#told + 1] = '["' .. (success and 'd' or 'f') .. '","' .. id .. '",3,null,' .. data .. more .. ']'
    if success then
      completed = completed + 1
      kept[#kept + 1] = id
    else
      failed = failed + 1
      redis.call('ZADD', PREFIX .. '@due', now + DEAD_RETENTION, 'retention\n' .. id)
    end
  end
end
if #ended == 0 then
  return { answers, now, {}, false }
end
local meta = redis.call('HMGET', META, 'seq', 'processing', 'completed', 'due', 'followed', 'paused', 'max_running', 'running', 'generation', 'known', 'failed', 'last_retention')
local seq = (tonumber(meta[1]) or 0) + #told
local running = (tonumber(meta[8]) or 0) - #ended
redis.call('HDEL', PREFIX .. '@live', unpack(ended))
redis.call('HSET', PREFIX .. '@done', unpack(done))
local changes, effects, due = {
  'seq', seq, 'processing', (tonumber(meta[2]) or 0) - #ended, 'completed', (tonumber(meta[3]) or 0) + completed,
  'failed', (tonumber(meta[11]) or 0) + failed, 'running', running,
}, {}, now + (failed > 0 and DEAD_RETENTION or RETENTION)
if #kept > 0 then
  due = math.min(due, now + RETENTION)
  if now + RETENTION >= (tonumber(meta[12]) or 0) then
    redis.call('RPUSH', PREFIX .. '@retention', (now + RETENTION) .. ' ' .. table.concat(kept, ' '))
    changes[#changes + 1] = 'last_retention'
    changes[#changes + 1] = now + RETENTION
  else
    for _, id in ipairs(kept) do
      redis.call('ZADD', PREFIX .. '@due', now + RETENTION, 'retention\n' .. id)
    end
  end
end
local entry = '[' .. now .. ',' .. table.concat(told, ',') .. ']'
redis.call('XADD', EVENTS, 'MINID', '~', math.max(1, seq - MAX_EVENTS), seq .. '-0', 'e', entry)
if now < (tonumber(meta[5]) or 0) then
  redis.call('PUBLISH', EVENTS, seq .. ' ' .. entry)
end
-- A tenant at its limit has left the rotation: now there is room.
local waited = meta[7] and redis.call('EXISTS', PREFIX .. '@ready') == 1
meta[8] = running
--@include fast_system
return { answers, now, effects, due }
