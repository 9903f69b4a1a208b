-- Budget of a claim for large journals and tasks, in bytes; the first task may always exceed it. Small ones are free (see
-- tenant_summary).
-- @include generated/rules tenants/tenant_summary
local function fitsBudget(lease, bytes)
  return bytes <= LARGE_RECORD or not lease.hasSome or bytes <= lease.bytesLeft
end

local function charge(lease, bytes)
  lease.hasSome = true
  if bytes > LARGE_RECORD then
    lease.bytesLeft, lease.hasLarge = lease.bytesLeft - bytes, true
  end
end

-- Budget for journals in a claim, by an estimate of a step's size besides its outcome. The worker reads a journal that
-- exceeds the remainder by itself.
local STEP_BYTES = 512
local journalLeft = PAGE_BYTES

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
