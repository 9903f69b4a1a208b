-- What a claim brings of journals, and of tasks themselves: as many as have that many bytes, but always one. What is small counts
-- nothing (see types).
local function mayBring(lease, bytes)
  return bytes <= LARGE_RECORD or not lease.hasSome or bytes <= lease.bytesLeft
end

local function bring(lease, bytes)
  lease.hasSome = true
  if bytes > LARGE_RECORD then
    lease.bytesLeft, lease.hasLarge = lease.bytesLeft - bytes, true
  end
end

-- So many bytes of journals come with a claim, by an estimate of what a step takes besides its outcome: a journal that is too
-- large for what is left the worker reads by itself.
local STEP_BYTES = 512
local journalLeft = $pageBytes

local function withJournal(prefix, found, bytes)
  local task = prefix .. found[1]
  local size = (bytes or 0) + STEP_BYTES * redis.call('HLEN', task .. ':steps')
  if size > journalLeft then
    found[3], found[4], found[5], found[6] = false, false, 0, 1
    return found
  end
  journalLeft = journalLeft - size
  found[3] = redis.call('HVALS', task .. ':steps')
  found[4] = redis.call('HGETALL', task .. ':outcomes')
  found[5] = redis.call('LLEN', task .. ':changes')
  return found
end
