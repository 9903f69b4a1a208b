-- Removal of an ended task. Its calls are forgotten a portion a step, by a timer.
-- @include generated/rules journal/steps scripts/due scripts/tenant scripts/time tasks/groups tasks/state tasks/task
-- @include tasks/task_end
local removal = {}

do
  local function forgetCall(service, call)
    redis.call('HDEL', CALLS, call.id)
    local field = call.job and service .. '\n' .. call.job
    if field and redis.call('HGET', JOBS, field) == call.id then
      redis.call('HDEL', JOBS, field)
    end
  end

  -- Forgets the calls of a removed task, those of its steps and those that were dropped, a portion a time.
  function removal.forgetCalls(sequence)
    for _, kind in ipairs({ ':steps', ':dropped' }) do
      local key = PREFIX .. '@gone:' .. sequence .. kind
      local some = redis.call('HRANDFIELD', key, CALLS_AT_ONCE, 'WITHVALUES')
      local names = {}
      for at = 1, #some, 2 do
        local known = cjson.decode(some[at + 1])
        for _, call in ipairs(kind == ':dropped' and { known } or known.calls or {}) do
          forgetCall(known.service, call)
        end
        names[#names + 1] = some[at]
      end
      spend(2 * #names / STEPS_PER_TIMER)
      if #names > 0 then
        redis.call('HDEL', key, unpack(names))
      end
      if #names == CALLS_AT_ONCE then
        schedule('forget', now, sequence)
        return false
      end
    end
    return false
  end
end

function removal.remove(task)
  local id, key = task.id, PREFIX .. task.id
  addStored(-redis.call('STRLEN', key) - outcomeBytes(key, redis.call('HGET', DONE, id) or '') - (task.bytes or 0) - (task.mail or 0))
  redis.call('UNLINK', key, key .. ':result', key .. ':outcomes', key .. ':changes', key .. ':mailbox', key .. ':signals')
  redis.call('HDEL', DONE, id)
  redis.call('ZREM', PREFIX .. '@old', id)
  local batch = batchKey(task)
  if batch and redis.call('EXISTS', batch) == 1 then
    redis.call('HSET', batch .. ':gone', id, task.state)
  end
  addMeta(task.state, -1)
  tasks[id] = false
  if task.journal then
    local gone = PREFIX .. '@gone:' .. task.header.sequence
    for _, kind in ipairs({ ':steps', ':dropped' }) do
      if redis.call('EXISTS', key .. kind) == 1 then
        redis.call('RENAME', key .. kind, gone .. kind)
      end
    end
    removal.forgetCalls(task.header.sequence)
  end
end
