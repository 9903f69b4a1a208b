-- Copy of a dead letter's successes for the task that replaces it, at the same positions of the journal. It is made a
-- portion a step before that task exists, and expires unless the task takes it.
--
-- @redrive:<task>  next (the first change not yet looked at), last (change that was kept), bytes (of outcomes)
-- @redrive:<task>:steps  …:outcomes  …:changes  see steps
-- @include generated/rules journal/steps scripts/tenant
local STAGED_MS = 60 * 1000

-- All parts expire in the same millisecond.
local function keepStaged(key)
  local time = redis.call('TIME')
  local at = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000) + STAGED_MS)
  for _, part in ipairs({ '', ':steps', ':outcomes', ':changes' }) do
    redis.call('PEXPIREAT', key .. part, at)
  end
end

-- A step as the new task inherits it, if it is a success whose last change has this sequence.
local function inheritedStep(old, name, sequence)
  local step = name ~= '' and getStep(old, name)
  if not step or step.rev ~= sequence or not step.ended or step.failed then
    return nil
  end
  step.calls, step.era = nil, -1
  return step
end

-- Copies a portion. Returns whether nothing is left.
local function stagePortion(old)
  local key, all, room = PREFIX .. '@redrive:' .. old.id, changesOf(old), PAGE_BYTES
  local copied = hmget(key, 'next', 'last', 'bytes')
  local from, last, bytes = tonumber(copied.next) or 1, tonumber(copied.last) or 0, tonumber(copied.bytes) or 0
  if from > all then
    return true
  end
  local sequences, steps = {}, {}
  for at, name in ipairs(redis.call('LRANGE', PREFIX .. old.id .. ':changes', from - 1, from + CALLS_AT_ONCE - 2)) do
    local step = inheritedStep(old, name, from + at - 1)
    if step then
      local size = redis.call('HSTRLEN', PREFIX .. old.id .. ':outcomes', name)
      if #steps > 0 and size > room then
        break
      end
      redis.call('HSET', key .. ':outcomes', name, redis.call('HGET', PREFIX .. old.id .. ':outcomes', name))
      steps[#steps + 1], steps[#steps + 2] = name, cjson.encode(step)
      room, bytes, last = room - size, bytes + size, from + at - 1
    end
    sequences[at] = step and name or ''
  end
  redis.call('RPUSH', key .. ':changes', unpack(sequences))
  if #steps > 0 then
    redis.call('HSET', key .. ':steps', unpack(steps))
  end
  redis.call('HSET', key, 'next', from + #sequences, 'last', last, 'bytes', bytes)
  keepStaged(key)
  return from + #sequences > all
end

-- The task takes the copy as its journal, once nothing is left.
local function takeStagedJournal(old, task)
  local key = PREFIX .. '@redrive:' .. old.id
  local copied = hmget(key, 'last', 'bytes')
  local last, bytes = tonumber(copied.last) or 0, tonumber(copied.bytes) or 0
  if last > 0 then
    for _, part in ipairs({ ':steps', ':outcomes', ':changes' }) do
      redis.call('RENAME', key .. part, PREFIX .. task.id .. part)
      redis.call('PERSIST', PREFIX .. task.id .. part)
    end
    redis.call('LTRIM', PREFIX .. task.id .. ':changes', 0, last - 1)
    task.journal = true
    addJournal(task, bytes)
  end
  redis.call('UNLINK', key, key .. ':steps', key .. ':outcomes', key .. ':changes')
  return last
end
