-- Cached values of a tenant, and the leases of those that compute them.
--
-- KEYS[1]         <prefix>:cache:{<tenant>}
-- <key>:<digest>  "tokens, model, value": a stored value
-- <key>:@entries  digest -> entry as JSON: seq, till, bytes, token, kind, collection, session, stored, awaited
-- <key>:@order    digests by the order of their computations · <key>:@due by expiry
-- <key>:@sum      bytes of all entries · seq of the last computation
-- All of them expire after the last entry.
-- @include scripts/time
local CACHE = KEYS[1]
local ENTRIES, ORDER, DUES, SUM = CACHE .. ':@entries', CACHE .. ':@order', CACHE .. ':@due', CACHE .. ':@sum'
local NAMESPACE, TENANT = CACHE:match('^(.*):cache:{(.*)}$')
local MARGIN_MS = 60000

local function readEntry(digest)
  local text = redis.call('HGET', ENTRIES, digest)
  return text and cjson.decode(text)
end

local function outlive(key, life)
  if redis.call('PTTL', key) < life then
    redis.call('PEXPIRE', key, life)
  end
end

-- Saves an entry, which then lasts until `till` and counts for `bytes`.
local function saveEntry(digest, entry, till, bytes)
  redis.call('HINCRBY', SUM, 'bytes', bytes - (entry.bytes or 0))
  entry.till, entry.bytes = till, bytes
  redis.call('HSET', ENTRIES, digest, cjson.encode(entry))
  redis.call('ZADD', ORDER, entry.seq, digest)
  redis.call('ZADD', DUES, till, digest)
  for _, key in ipairs({ ENTRIES, ORDER, DUES, SUM }) do
    outlive(key, till - now + MARGIN_MS)
  end
end

local function wakeWaiters(digest, entry)
  if entry.awaited then
    redis.call('PUBLISH', NAMESPACE .. ':wakeups@$database', 'cached ' .. TENANT .. ' ' .. digest)
  end
end

local function removeEntry(digest, entry)
  redis.call('HINCRBY', SUM, 'bytes', -entry.bytes)
  redis.call('HDEL', ENTRIES, digest)
  redis.call('ZREM', ORDER, digest)
  redis.call('ZREM', DUES, digest)
  redis.call('UNLINK', CACHE .. ':' .. digest)
  wakeWaiters(digest, entry)
end

-- The entry of a digest, if its lease or value holds.
local function holdingEntry(digest)
  local entry = readEntry(digest)
  return entry and entry.till > now and entry
end
