-- Tasks of the tenant, each loaded once and saved once by `finish`.
--
-- <prefix><task id>  two lines of JSON that never change: the orchestrator's header of the task, and its payload
-- @live  id -> state of a task that has not ended, see state; a task that was only submitted has none
-- @done  id -> state of an ended task, in a second line its result or its error, in a third one its diagnostic, if any
-- User data is never decoded here: numbers would lose digits. It is text, also inside JSON.
-- @include generated/rules scripts/tenant scripts/time tasks/state
local tasks = {}

local function isFinal(task)
  return isFinalState(task.state)
end

local function load(id)
  if tasks[id] ~= nil then
    return tasks[id] or nil
  end
  local text = redis.call('GETRANGE', PREFIX .. id, 0, HEADER_BYTES - 1)
  if text == '' then
    tasks[id] = false
    return nil
  end
  local header = cjson.decode(text:match('^[^\n]*'))
  local task
  local state = redis.call('HGET', LIVE, id) or redis.call('HGET', DONE, id)
  if state then
    task = stateOf(state)
  else
    task = { state = 'ready', since = header.at, updated = header.at, attempt = 0, rev = 1 }
  end
  tasks[id] = { id = id, header = header, kept = task }
  setmetatable(tasks[id], { __index = task, __newindex = function(self, field, value)
    task[field] = value
    rawset(self, 'dirty', true)
  end })
  return tasks[id]
end

-- Changes the state, and nothing else.
local function move(task, to)
  if not TRANSITIONS:find(' ' .. task.state .. '>' .. to .. ' ', 1, true) then
    error('illegal transition: ' .. task.state .. ' to ' .. to)
  end
  local before = STATUS[task.state]
  if before ~= STATUS[to] then
    addMeta(before, -1)
    addMeta(STATUS[to], 1)
  end
  if task.state == 'leased' then
    addMeta('running', -1)
  end
  if to == 'leased' then
    addMeta('running', 1)
  end
  task.state, task.since, task.updated = to, now, now
end

local function saveTasks()
  for id, task in pairs(tasks) do
    if task and rawget(task, 'dirty') then
      if isFinal(task) then
        local outcome = rawget(task, 'outcome')
        if outcome then
          redis.call('HDEL', LIVE, id)
          local diagnostic = rawget(task, 'diagnostic')
          local text = outcome .. (diagnostic and '\n' .. diagnostic or '')
          addStored(#text)
          if #text > LARGE_OUTCOME then
            redis.call('SET', PREFIX .. id .. ':result', text)
            text = '@'
          end
          redis.call('HSET', DONE, id, cjson.encode(task.kept) .. '\n' .. text)
        else
          local done = redis.call('HGET', DONE, id)
          redis.call('HSET', DONE, id, cjson.encode(task.kept) .. done:match('\n.*$'))
        end
      else
        redis.call('HSET', LIVE, id, cjson.encode(task.kept))
      end
    end
  end
end

-- A task as the adapter gets it, after it was saved: its two lines, its state, and its steps without their outcomes.
local function view(id)
  local record = redis.call('GET', PREFIX .. id)
  if not record then
    return false
  end
  local state = withOutcome(PREFIX .. id, redis.call('HGET', LIVE, id) or redis.call('HGET', DONE, id) or '')
  local steps = {}
  if state:find('"journal":true', 1, true) then
    steps = redis.call('HVALS', PREFIX .. id .. ':steps')
  end
  return { id, record, state, steps }
end
