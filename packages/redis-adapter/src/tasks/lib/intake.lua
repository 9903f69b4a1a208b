-- Admission of a request: replays and limits.
-- @include events/epoch scripts/tenant tasks/idempotency tasks/task

-- The answer to a used idempotency key, if any.
local function known(params, kind)
  local answer, id = usedBefore(PREFIX, params, kind)
  if answer ~= 'replayed' then
    return answer and { answer }
  end
  if kind == 'batch' then
    return { 'replayed', id }
  end
  local found = view(id)
  return found and { 'replayed', found, count('seq'), epochOfLog() } or nil
end

-- Whether so many more tasks would exceed the limit, or too much is stored.
local function isFull(tasks, max)
  return count('pending') + count('staged') + tasks > (tonumber(meta.max_waiting) or max) or holdsTooMuch()
end
