-- A task at exactly a position of the log. Written out, since this is asked for more than anything else that reads: see
-- `view` for the task. Which server answers is left to the adapter, see ADR 9.
--
-- @args   task id
-- @return the task, seq, when the log began
--@reads
local PREFIX, ID = KEYS[1]:sub(1, -6), ARGV[2]
local record = redis.call('GET', PREFIX .. ID)
if not record then
  return { false }
end
local log = redis.call('HMGET', KEYS[1], 'seq', 'epoch')
local state = redis.call('HGET', PREFIX .. '@live', ID) or redis.call('HGET', PREFIX .. '@done', ID) or ''
if state:sub(-2) == '\n@' then
  state = state:sub(1, -2) .. redis.call('GET', PREFIX .. ID .. ':result')
end
local steps = {}
if state:find('"journal":true', 1, true) then
  steps = redis.call('HVALS', PREFIX .. ID .. ':steps')
end
return { { ID, record, state, steps }, tonumber(log[1]) or 0, log[2] }
