-- Events after a position. A large result stands with its task.
--
-- @args   seq, or -1 for none · how many entries · for how long somebody follows, or 0 · what to say where he is told of what
--         comes: who hears it there hears of everything that comes after this answer, or '' · the process that only waits for
--         tasks to end, or ''
-- @return seq of the last · entries as id, JSON · large results by task id · epoch
--@include time tenant waiting epoch
local after, most, follows, mark, process = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6]
if process ~= '' then
  setMeta('awaited', nowAwaited(meta.awaited, process, now + follows))
elseif follows > 0 then
  setMeta('followed', now + follows)
end
saveMeta()
if mark ~= '' and process ~= '' then
  redis.call('PUBLISH', BELLS .. ':' .. process .. '@$database', TENANT .. ' = ' .. mark)
elseif mark ~= '' then
  redis.call('PUBLISH', EVENTS .. '@$database', '= ' .. mark)
end
local entries, results = {}, {}
if after >= 0 and after < count('seq') then
  entries = redis.call('XRANGE', EVENTS, (after + 1) .. '-0', '+', 'COUNT', most)
  for _, entry in ipairs(entries) do
    for id in entry[2][2]:gmatch('%["d","([^"]*)",%d+,[^,]*,null,1%]') do
      local done = redis.call('HGET', PREFIX .. '@done', id)
      results[#results + 1] = id
      results[#results + 1] = done and done:match('\n(.*)$') or 'null'
    end
  end
end
return { count('seq'), entries, results, epochOfLog() }
