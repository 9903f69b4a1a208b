-- Task handover: a task is leased to a waiting claim in the step that stores it, if no other task of its tenant is ready.
-- The effect is that of a claim right after, see tenant_claim and claim.
-- @include fast/fast_creation fast/fast_path queue/claim_retry queue/waiting_claims scripts/time
local MAX_PUBLISHED_BYTES = 65536

-- Whether a task of this tenant would be the next one, provided no other is ready.
local function isNext(counters)
  return counters.paused ~= '1' and not counters.groups
    and not (counters.max_running and (tonumber(counters.running) or 0) >= tonumber(counters.max_running))
end

-- Publishes the task to the worker. Nothing is written before: without a subscriber nothing has happened.
local function publishTask(claim, prefix, tenant, id, expires)
  local message = 'claimed ' .. table.concat({ claim.token, nowText, format('%d', expires), tenant, claim.version, id }, ' ')
  -- The worker reads a larger task by itself.
  if redis.call('STRLEN', prefix .. id) <= MAX_PUBLISHED_BYTES then
    message = message .. '\n' .. redis.call('GET', prefix .. id)
  end
  return redis.call('PUBLISH', SYSTEM:match('^(.*):system:') .. ':wakeups:' .. claim.worker .. '@$database', message) > 0
end

-- Returns changes of the counters and the end of the lease; nil without a waiting claim.
local function handOver(prefix, counters, type, id)
  local claim = SYSTEM and isNext(counters) and nextWaitingClaim(SYSTEM, type)
  if not claim then
    return nil
  end
  local tenant, expires = prefix:match('{([^}]*)}'), now + claim.lease
  if not publishTask(claim, prefix, tenant, id, expires) then
    return nil
  end
  local till = format('%d', expires)
  redis.call('SET', SYSTEM .. 'claimed:' .. claim.claim_slot, claim.token .. '\n' .. tenant .. ' ' .. id, 'PX', MARKER_LIVES)
  redis.call('HSET', prefix .. '@live', id,
    'l ' .. claim.version .. ' ' .. nowText .. ' ' .. till .. ' ' .. claim.token .. ' ' .. claim.worker)
  local changes = { 'claimed', format('%d', (tonumber(counters.claimed) or 0) + 1) }
  if expires >= (tonumber(counters.last_leases) or 0) then
    redis.call('RPUSH', prefix .. '@leases', till .. ' ' .. id)
    changes[3], changes[4] = 'last_leases', till
  else
    redis.call('ZADD', prefix .. '@due', till, 'leases\n' .. id)
  end
  return changes, expires
end
