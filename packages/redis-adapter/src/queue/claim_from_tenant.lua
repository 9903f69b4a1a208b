-- Takes tasks of one tenant for a worker, on a Cluster: the rotation is on another node.
--
-- @keys   meta, events
-- @args   now · {worker, claim_slot, token, round (one claim may scan a tenant several times), max, lease, runs,
--         reads? (see claimed_messages),
--         may_suspect, begins (maximum of tasks to run at once), bytes (budget for large tasks), has_some (whether the claim
--         has a task already)}
-- @return the time · the version of the tasks and their ids, or 0 and the tasks (see tenant_claim) · whether more are left ·
--         generation · weight · end of the leases, if due before all else of the tenant · records of the tasks in their
--         order, if they are few · whether a task was left that exceeded the budget · bytes of large tasks taken
-- @include generated/rules queue/claim_retry queue/tenant_claim scripts/time
local prefix = KEYS[1]:sub(1, -6)
local params = cjson.decode(ARGV[2])
local expires = now + params.lease
local marker = prefix .. '@claim:' .. params.claim_slot
-- "claim id round newline ids": all scans of a claim together, so that a retry gets the whole claim again.
local token, scanned, known = (redis.call('GET', marker) or ''):match('^(%S+) (%d+)\n(.*)$')
if token == params.token and tonumber(scanned) == params.round then
  local rotation = hmget(KEYS[1], 'generation', 'weight')
  return { now, 0, stillHeld(prefix, known, token), 1, rotation.generation, rotation.weight, expires }
end
local lease = {
  token = params.token, worker = params.worker, expires = expires, maySuspect = params.may_suspect, begins = params.begins, fastStates = {},
  bytesLeft = params.bytes, hasSome = params.has_some, reads = params.reads, messageBytesLeft = CLAIMED_MESSAGE_BYTES,
}
local count, version, found, more, counters, ids, due = claimFromTenant(prefix, KEYS[2], now, params.max, lease, params.runs)
if count > 0 then
  local all = (token == params.token and known .. ' ' or '') .. ids
  redis.call('SET', marker, params.token .. ' ' .. params.round .. '\n' .. all, 'PX', MARKER_LIVES)
end
return {
  now, version, found, more and 1 or 0, counters.generation, counters.weight, due and expires or false, recordsOf(lease, { { prefix = prefix, ids = ids } }, count),
  lease.isFull and 1 or false, params.bytes - lease.bytesLeft,
}
