-- Whether a request is one that was answered before, or too much.

-- The answer to a key that was used before, if it was.
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

-- Whether so many more would be too many, or too much is stored.
local function isFull(tasks, max)
  return count('pending') + count('staged') + tasks > max or holdsTooMuch()
end
