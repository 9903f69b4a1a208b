-- Takes tasks for a worker, tenants in rotation, where everything is on one server.
--
-- <system>rotation:<pool>  tenants by virtual time · <system>claimed:<claim_slot>  its last claim id, and its tasks by
--                          tenant
-- @keys   system
-- @args   now · {pool, worker, claim_slot, token, max, lease, runs, may_suspect, begins (maximum of tasks to run at once),
--         reads? (see claimed_messages), turn (maximum of a tenant in one turn), wait (ms of a waiting claim, if it may
--         wait, see waiting_claims)}
-- @return the time · false for a pool that is not open, else for each tenant {tenant, the version of its tasks and their
--         ids, or 0 and the tasks (see tenant_claim)} · end of the leases · records of the tasks in their order, if they are
--         few · whether a task was left that exceeded the claim's budget
-- @include generated/rules queue/claim_retry queue/rotation_order queue/tenant_claim queue/waiting_claims scripts/time
local SYSTEM = KEYS[1]
local NAMESPACE = SYSTEM:match('^(.*):system:')
local params = cjson.decode(ARGV[2])
local rotation = SYSTEM .. 'rotation:' .. params.pool
local lease = {
  token = params.token, worker = params.worker, expires = now + params.lease, maySuspect = params.may_suspect,
  begins = params.begins, fastStates = {}, bytesLeft = PAGE_BYTES, reads = params.reads, messageBytesLeft = CLAIMED_MESSAGE_BYTES,
}
local function prefixOf(tenant)
  return NAMESPACE .. ':tasks:{' .. tenant .. '}:'
end

local claims, tenants, claimed = {}, {}, {}
local marker = SYSTEM .. 'claimed:' .. params.claim_slot
local last = redis.call('GET', marker)
local waited = isWaitingClaim(last)
if last and not waited and last:match('^[^\n]*') == params.token then
  for tenant, ids in last:gmatch('\n(%S+) ([^\n]+)') do
    claims[#claims + 1] = { tenant, 0, stillHeld(prefixOf(tenant), ids, params.token) }
  end
  return { now, claims }
end
local left, skipped, time = params.max, 0, nil
while left > 0 do
  local candidate, alone = nextTenant(rotation)
  if not candidate then
    break
  end
  time = candidate.time
  local ok, count, version, found, more, counters, ids = pcall(claimFromTenant, prefixOf(candidate.tenant),
    NAMESPACE .. ':events:{' .. candidate.tenant .. '}', now, alone and skipped == 0 and left or math.min(left, params.max_per_turn),
    lease, params.runs, SYSTEM)
  if not ok then
    -- An error in one tenant's keys must not stop the claims from others.
    count, more = 0, false
  end
  if count > 0 then
    left = left - count
    claims[#claims + 1] = { candidate.tenant, version, found }
    tenants[#tenants + 1] = candidate.tenant .. ' ' .. ids
    claimed[#claimed + 1] = { prefix = prefixOf(candidate.tenant), ids = ids }
  end
  if not more then
    leaveRotation(candidate)
  elseif count == 0 then
    skipped = skipped + 1
  else
    returnTenant(candidate, time + count / (tonumber(counters.weight) or 1))
  end
  if lease.isFull then
    break
  end
end
if not time and redis.call('HEXISTS', SYSTEM .. 'pools', params.pool) == 0 then
  return { now, false }
end
saveRotation(rotation)
if time then
  redis.call('HSET', SYSTEM .. 'pools', params.pool, time)
end
if #tenants > 0 then
  redis.call('SET', marker, params.token .. '\n' .. table.concat(tenants, '\n'), 'PX', MARKER_LIVES)
elseif params.wait then
  parkClaim(SYSTEM, params)
elseif waited then
  redis.call('DEL', marker)
end
if waited and (#tenants > 0 or not params.wait) then
  unparkClaim(SYSTEM, params)
end
return { now, claims, lease.expires, recordsOf(lease, claimed, params.max - left), lease.isFull and 1 or false }
