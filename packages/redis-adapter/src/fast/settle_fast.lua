-- Ends tasks without steps, session and batch.
--
-- @keys   see fast_path
-- @args   now · for each tenant: meta, events, tasks, then for each task: id, result or error as JSON; before the tasks they
--         apply to: '', state (completed or failed), token
-- @return the time · for each tenant, see fast_path: for each task 1 ended, 0 lease lost, -1 not a fast task (see settle)
-- @include events/completions events/event_log fast/fast_path generated/rules scripts/time tasks/state

-- The state of an ended task after its letter; nothing for a state that is not fast, or not of this token. Tasks of one
-- claim have the same state, so it is parsed once.
local endings = {}
local function endingOf(state, token)
  local known = endings[state]
  if known then
    return known.token == token and known or nil
  end
  local versionAndBegan, holder = state:match('^[la](.*) %d+ (%S*) %S*$')
  if holder ~= token then
    return nil
  end
  endings[state] = {
    token = token, version = versionAndBegan:match('%d+'), text = versionAndBegan .. ' ' .. nowText .. '\n',
  }
  return endings[state]
end

local function keepUntil(prefix, at, kept, last, changes)
  if at >= last then
    redis.call('RPUSH', prefix .. '@retention', format('%d ', at) .. table.concat(kept, ' '))
    changes[#changes + 1] = 'last_retention'
    changes[#changes + 1] = format('%d', at)
    return
  end
  for _, id in ipairs(kept) do
    redis.call('ZADD', prefix .. '@due', at, 'retention\n' .. id)
  end
end

-- `settlements`: ids, and at the same index outcomes, states and tokens.
local function settleTenant(meta, events, settlements)
  local prefix = meta:sub(1, -6)
  local states = redis.call('HMGET', prefix .. '@live', unpack(settlements.ids))
  local answer, ended, done, emitted, kept, failed, bytes = { false, false }, {}, {}, newEventBuffer(), {}, {}, 0
  for at, id in ipairs(settlements.ids) do
    local state = states[at]
    -- A task given twice in one call has ended the first time.
    local ending = state and not ended[id] and endingOf(state, settlements.tokens[at])
    answer[at + 2] = ending and 1 or state and not ended[id] and -1 or 0
    if ending then
      local outcome, success = settlements.outcomes[at], settlements.states[at] == 'completed'
      ended[id], bytes = true, bytes + #outcome
      ended[#ended + 1] = id
      done[#done + 1] = id
      local isLarge = #outcome > LARGE_OUTCOME
      if isLarge then
        redis.call('SET', prefix .. id .. ':result', outcome)
      end
      done[#done + 1] = (success and 'c' or 'f') .. ending.text .. (isLarge and '@' or outcome)
      if not success then
        emitEvent(emitted, '["' .. TASK_FAILED .. '","' .. id .. '",3,null,' .. outcome .. ']')
      elseif isLarge then
        emitEvent(emitted, '["' .. TASK_COMPLETED .. '","' .. id .. '",3,null,null,1]')
      else
        emitCompleted(emitted, id, ending.version, outcome)
      end
      if success then
        kept[#kept + 1] = id
      else
        failed[#failed + 1] = id
        redis.call('ZADD', prefix .. '@due', now + DEAD_LETTER_RETENTION_MS, 'retention\n' .. id)
      end
    end
  end
  if #ended == 0 then
    return answer
  end
  local counters = hmget(meta, 'seq', 'processing', 'completed', 'due', 'followed', 'running', 'last_retention', 'max_running',
    'failed', 'awaited', 'stored', 'epoch', 'retention_ms')
  local retention = tonumber(counters.retention_ms) or RETENTION_MS
  local seq, running = (tonumber(counters.seq) or 0) + #ended, (tonumber(counters.running) or 0) - #ended
  redis.call('HDEL', prefix .. '@live', unpack(ended))
  redis.call('HSET', prefix .. '@done', unpack(done))
  local entry = appendEvents(events, emitted, seq, counters.followed, counters.epoch)
  if counters.awaited then
    local namespace, tenant = prefix:match('^(.*):tasks:{(.*)}:$')
    publishCompletions(namespace, tenant, counters.awaited, published(seq, counters.epoch, entry))
  end
  local changes = {
    'seq', format('%d', seq), 'processing', format('%d', (tonumber(counters.processing) or 0) - #ended),
    'completed', format('%d', (tonumber(counters.completed) or 0) + #kept), 'running', format('%d', running),
    'stored', format('%d', (tonumber(counters.stored) or 0) + bytes),
  }
  if #failed > 0 then
    changes[#changes + 1] = 'failed'
    changes[#changes + 1] = format('%d', (tonumber(counters.failed) or 0) + #failed)
  end
  if #kept > 0 then
    keepUntil(prefix, now + retention, kept, tonumber(counters.last_retention) or 0, changes)
  end
  -- A tenant at its limit has left the rotation: now there is room.
  local isReady = counters.max_running and redis.call('HGET', meta, 'paused') ~= '1'
    and redis.call('EXISTS', prefix .. '@ready', prefix .. '@groups') > 0
  local due = now + (#kept > 0 and math.min(retention, DEAD_LETTER_RETENTION_MS) or DEAD_LETTER_RETENTION_MS)
  local effects = updateSystem(prefix, changes, due, tonumber(counters.due) or 0, isReady)
  for _, id in ipairs(failed) do
    effects = withEffect(effects, { 'dead_letter', id })
  end
  redis.call('HSET', meta, unpack(changes))
  answer[1], answer[2] = effects, due
  return answer
end

local function readSettlements(at, count)
  local settlements = { ids = {}, outcomes = {}, states = {}, tokens = {} }
  local state, token
  for sequence = 1, count do
    if ARGV[at] == '' then
      state, token, at = ARGV[at + 1], ARGV[at + 2], at + 3
    end
    settlements.ids[sequence], settlements.outcomes[sequence], settlements.states[sequence], settlements.tokens[sequence] = ARGV[at], ARGV[at + 1], state, token
    at = at + 2
  end
  return settlements, at
end

local answers, at = {}, 2
while ARGV[at] do
  local meta, events = ARGV[at], ARGV[at + 1]
  local settlements
  settlements, at = readSettlements(at + 3, tonumber(ARGV[at + 2]))
  answers[#answers + 1] = isolated(settleTenant, meta, events, settlements)
end
return { now, answers }
