-- Takes tasks for a worker, tenants in turn, where everything is on one server.
--
-- <system>rotation:<pool>  tenants by virtual time · <system>claimed:<worker>  its last claim id, and by tenant what it took
-- @keys   system
-- @args   now · {pool, worker, token, max, lease, runs, may_suspect, turn}
-- @return the time · for each tenant {tenant, its tasks (see visit)} · when the leases end · the state of plain tasks
--@include time trim oldest visit resend
local SYSTEM = KEYS[1]
local NAMESPACE = SYSTEM:match('^(.*):system:')
local params = cjson.decode(ARGV[2])
local rotation = SYSTEM .. 'rotation:' .. params.pool
local lease = {
  token = params.token, worker = params.worker, expires = now + params.lease, maySuspect = params.may_suspect, plain = {},
}
lease.opening = plainState(lease, now)
local function prefixOf(tenant)
  return NAMESPACE .. ':tasks:{' .. tenant .. '}:'
end

local claims, tenants = {}, {}
local marker = SYSTEM .. 'claimed:' .. params.worker
local last = redis.call('GET', marker)
if last and last:match('^[^\n]*') == params.token then
  for tenant, ids in last:gmatch('\n(%S+) ([^\n]+)') do
    claims[#claims + 1] = { tenant, stillHeld(prefixOf(tenant), ids, params.token) }
  end
  return { now, claims }
end
local left, passed, time = params.max, 0, nil
while left > 0 do
  local next = redis.call('ZRANGE', rotation, passed, passed, 'WITHSCORES')
  local tenant = next[1]
  if not tenant then
    break
  end
  time = tonumber(next[2])
  local prefix = prefixOf(tenant)
  local alone = passed == 0 and redis.call('ZCARD', rotation) == 1
  local ok, found, more, meta = pcall(visit, prefix, NAMESPACE .. ':events:{' .. tenant .. '}', now,
    alone and left or math.min(left, params.turn), lease, params.runs, SYSTEM)
  if not ok then
    -- What is wrong with one tenant's keys keeps nobody else from being claimed.
    found, more = {}, false
  end
  if #found > 0 then
    left = left - #found
    claims[#claims + 1] = { tenant, found }
    tenants[#tenants + 1] = tenant .. ' ' .. idsOf(found)
  end
  if not more then
    redis.call('ZREM', rotation, tenant)
  elseif #found == 0 then
    passed = passed + 1
  else
    redis.call('ZADD', rotation, 'XX', time + #found / (tonumber(meta[12]) or 1), tenant)
  end
end
if time then
  redis.call('HSET', SYSTEM .. 'pools', params.pool, time)
end
if #tenants > 0 then
  redis.call('SET', marker, params.token .. '\n' .. table.concat(tenants, '\n'), 'PX', MARKER_LIVES)
end
return { now, claims, lease.expires, lease.opening }
