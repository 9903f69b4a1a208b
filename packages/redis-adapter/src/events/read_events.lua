-- Events after a position, with a limit in bytes. A large result is stored with its task.
--
-- @args   seq, or -1 for none · limit of entries · ms for which the caller follows, or 0 · a mark to publish on the channel,
--         or '': a subscriber that receives it receives every later event · the process that awaits completions only, or ''
--         · bytes
-- @return seq of the last · entries as id, JSON · large results by task id · epoch
-- @include events/completions events/epoch generated/rules scripts/tenant scripts/time
local after, max, follows, mark, process = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6]
local BLOCK, bytes = 50, tonumber(ARGV[7])
if process ~= '' then
  setMeta('awaited', addAwaiting(meta.awaited, process, now + follows))
elseif follows > 0 then
  setMeta('followed', now + follows)
end
saveMeta()
if hasChanged and not meta.known then
  -- A tenant that does not exist yet keeps only this, for as long as it is followed.
  redis.call('PEXPIRE', META, follows)
end
if mark ~= '' and process ~= '' then
  redis.call('PUBLISH', WAKEUPS .. ':' .. process .. '@$database', TENANT .. ' = ' .. mark)
elseif mark ~= '' then
  redis.call('PUBLISH', EVENTS .. '@$database', '= ' .. mark)
end
local entries, results = {}, {}

-- Ids of tasks whose large results an entry refers to, and its size with those.
local function sizeOf(json)
  local ids, size = {}, #json
  for id in json:gmatch('%["' .. TASK_COMPLETED .. '","([^"]*)",%d+,[^,]*,null,1%]') do
    ids[#ids + 1] = id
    size = size + redis.call('STRLEN', PREFIX .. id .. ':result')
  end
  return ids, size
end

local function readBlock(from)
  local block = redis.call('XRANGE', EVENTS, from, '+', 'COUNT', math.min(BLOCK, max - #entries))
  for _, entry in ipairs(block) do
    local ids, size = sizeOf(entry[2][2])
    bytes = bytes - size
    if #entries > 0 and bytes < 0 then
      return nil
    end
    entries[#entries + 1] = entry
    for _, id in ipairs(ids) do
      results[#results + 1] = id
      results[#results + 1] = redis.call('GET', PREFIX .. id .. ':result') or 'null'
    end
  end
  return #block == BLOCK and '(' .. block[#block][1] or nil
end

if after >= 0 and after < count('seq') then
  local from = (after + 1) .. '-0'
  while from and #entries < max do
    from = readBlock(from)
  end
end
return { count('seq'), entries, results, epochOfLog() }
