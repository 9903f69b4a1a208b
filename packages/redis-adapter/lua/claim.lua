-- Takes tasks for a worker, tenants in turn, where everything is on one server.
--
-- <system>rotation:<pool>  tenants by virtual time · <system>claimed:<claim_slot>  its last claim id, and by tenant what it took
-- @keys   system
-- @args   now · {pool, worker, claim_slot, token, max, lease, runs, may_suspect, begins (how many of them at
--         once), turn, wait (for how long, if it may, see orders)}
-- @return the time · false for a pool that is not open, else for each tenant {tenant, the version of its tasks and their ids, or 0 and the tasks (see visit)} ·
--         when the leases end · when they are few, what they are made of, in their order · whether one was left that was too
--         large for what the claim had already
--@include time trim types oldest turns brought picking tenant_claim state resend orders
local SYSTEM = KEYS[1]
local NAMESPACE = SYSTEM:match('^(.*):system:')
local params = cjson.decode(ARGV[2])
local rotation = SYSTEM .. 'rotation:' .. params.pool
local lease = {
  token = params.token, worker = params.worker, expires = now + params.lease, maySuspect = params.may_suspect,
  begins = params.begins, plain = {}, bytesLeft = $pageBytes,
}
local function prefixOf(tenant)
  return NAMESPACE .. ':tasks:{' .. tenant .. '}:'
end

local claims, tenants, claimed = {}, {}, {}
local marker = SYSTEM .. 'claimed:' .. params.claim_slot
local last = redis.call('GET', marker)
local waited = isOrder(last)
if last and not waited and last:match('^[^\n]*') == params.token then
  for tenant, ids in last:gmatch('\n(%S+) ([^\n]+)') do
    claims[#claims + 1] = { tenant, 0, stillHeld(prefixOf(tenant), ids, params.token) }
  end
  return { now, claims }
end
local left, passed, time = params.max, 0, nil
while left > 0 do
  local turn, alone = nextTurn(rotation)
  if not turn then
    break
  end
  time = turn.time
  local ok, count, version, found, more, meta, ids = pcall(claimFromTenant, prefixOf(turn.tenant),
    NAMESPACE .. ':events:{' .. turn.tenant .. '}', now, alone and passed == 0 and left or math.min(left, params.turn),
    lease, params.runs, SYSTEM)
  if not ok then
    -- What is wrong with one tenant's keys keeps nobody else from being claimed.
    count, more = 0, false
  end
  if count > 0 then
    left = left - count
    claims[#claims + 1] = { turn.tenant, version, found }
    tenants[#tenants + 1] = turn.tenant .. ' ' .. ids
    claimed[#claimed + 1] = { prefix = prefixOf(turn.tenant), ids = ids }
  end
  if not more then
    leaveRotation(turn)
  elseif count == 0 then
    passed = passed + 1
  else
    returnAt(turn, time + count / (tonumber(meta[12]) or 1))
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
  placeOrder(SYSTEM, params)
elseif waited then
  redis.call('DEL', marker)
end
if waited and (#tenants > 0 or not params.wait) then
  dropOrder(SYSTEM, params)
end
return { now, claims, lease.expires, recordsOf(lease, claimed, params.max - left), lease.isFull and 1 or false }
