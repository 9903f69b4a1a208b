-- A page of the sessions, newest first, with limits on the sessions scanned and on their bytes.
--
-- @args   {after?: id, limit, scans, bytes, status?}
-- @return id and fields of each · the id after which the next page begins, if any · number of sessions scanned · whether a
--         matching one is past the limit; nothing when the session `after` is unknown
-- @reads
-- @include scripts/tenant
local params = cjson.decode(ARGV[2])
local index, from = PREFIX .. '@sessions', 0
if params.after then
  local rank = redis.call('ZREVRANK', index, params.after)
  if not rank then
    return false
  end
  from = rank + 1
end
local ids = redis.call('ZREVRANGE', index, from, from + params.scans)
local found, bytes, last = {}, 0, params.after or false
for scanned, id in ipairs(ids) do
  if scanned > params.scans then
    return { found, last, scanned - 1, false }
  end
  local key = NAMESPACE .. ':session:{' .. TENANT .. '}:' .. id
  if not params.status or redis.call('HGET', key, 'status') == params.status then
    if #found == params.limit then
      return { found, last, scanned, true }
    end
    bytes = bytes + redis.call('HSTRLEN', key, 'context')
    if #found > 0 and bytes > params.bytes then
      return { found, last, scanned, false }
    end
    found[#found + 1] = { id, redis.call('HGETALL', key) }
  end
  last = id
end
return { found, false, #ids, false }
