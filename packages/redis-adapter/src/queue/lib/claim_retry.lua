-- Lifetime of a claim's marker, in which the claim can be repeated.
-- @include queue/claim_budget tasks/state
local MARKER_LIVES = 60 * 60 * 1000

-- Tasks of a repeated claim whose lease is still held.
local function stillHeld(prefix, ids, token)
  local found = {}
  for id in ids:gmatch('%S+') do
    local state = redis.call('HGET', prefix .. '@live', id)
    local task = state and stateOf(state)
    if task and task.state == 'leased' and task.token == token then
      found[#found + 1] = { id, state }
      if task.journal then
        withJournal(prefix, found[#found], task.bytes)
      end
    end
  end
  return found
end
