-- Hands a task that is just being stored, and that nothing of its tenant waits for, to a worker that has a claim waiting: as
-- if it had been claimed right after. What a claim does with a plain task, see visit and claim.
local MARKER_LIVES = 60 * 60 * 1000
local MAX_HANDED_BYTES = 65536

-- Whether a task of this tenant would be the next one, were it in line: where nothing else is.
local function isNext(known)
  return known[7] ~= '1' and not known[16] and not (known[8] and (tonumber(known[9]) or 0) >= tonumber(known[8]))
end

-- Tells the worker. Nobody else knows yet: when nobody hears it, nothing has happened.
local function handToWorker(order, prefix, tenant, id, expires)
  local message = 'claimed ' .. table.concat({ order.token, nowText, format('%d', expires), tenant, order.version, id }, ' ')
  -- What is larger it asks for.
  if redis.call('STRLEN', prefix .. id) <= MAX_HANDED_BYTES then
    message = message .. '\n' .. redis.call('GET', prefix .. id)
  end
  return redis.call('PUBLISH', SYSTEM:match('^(.*):system:') .. ':wakeups:' .. order.worker .. '@$database', message) > 0
end

-- The claim of a worker that is told; nil when there is none.
local function handOver(prefix, known, type, id)
  local order = SYSTEM and isNext(known) and nextOrder(SYSTEM, type)
  if not order then
    return nil
  end
  local tenant, expires = prefix:match('{([^}]*)}'), now + order.lease
  if not handToWorker(order, prefix, tenant, id, expires) then
    return nil
  end
  local till = format('%d', expires)
  redis.call('SET', SYSTEM .. 'claimed:' .. order.claim_slot, order.token .. '\n' .. tenant .. ' ' .. id, 'PX', MARKER_LIVES)
  redis.call('HSET', prefix .. '@live', id,
    'l ' .. order.version .. ' ' .. nowText .. ' ' .. till .. ' ' .. order.token .. ' ' .. order.worker)
  local changes = { 'claimed', format('%d', (tonumber(known[14]) or 0) + 1) }
  if expires >= (tonumber(known[15]) or 0) then
    redis.call('RPUSH', prefix .. '@leases', till .. ' ' .. id)
    changes[3], changes[4] = 'last_leases', till
  else
    redis.call('ZADD', prefix .. '@due', till, 'leases\n' .. id)
  end
  return changes, expires
end
