-- A task at an exact position of the log. Written without `view` because this is the most frequent read. The adapter chooses
-- the server that answers, see ADR 9.
--
-- @args   task id
-- @return the task, seq, epoch of the log
-- @reads
local PREFIX, ID = KEYS[1]:sub(1, -6), ARGV[2]
local record = redis.call('GET', PREFIX .. ID)
if not record then
  return { false }
end
local log = hmget(KEYS[1], 'seq', 'epoch')
local state = redis.call('HGET', PREFIX .. '@live', ID) or redis.call('HGET', PREFIX .. '@done', ID) or ''
if state:sub(-2) == '\n@' then
  state = state:sub(1, -2) .. redis.call('GET', PREFIX .. ID .. ':result')
end
local steps = {}
if state:find('"journal":true', 1, true) then
  steps = redis.call('HVALS', PREFIX .. ID .. ':steps')
end
return { { ID, record, state, steps }, tonumber(log.seq) or 0, log.epoch }
