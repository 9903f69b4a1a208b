-- Room for a cached value: removes what has expired, then the oldest others, a portion of both.
-- @include cache/cache generated/rules scripts/time
local function removeDigests(digests, kept)
  for _, digest in ipairs(digests) do
    local entry = digest ~= kept and readEntry(digest)
    if entry then
      removeEntry(digest, entry)
    end
  end
end

local function isTooMuch(bytes)
  return (tonumber(redis.call('HGET', SUM, 'bytes')) or 0) + bytes > MAX_CACHE_BYTES
end

-- Whether there is room now.
local function makeRoom(bytes, kept)
  removeDigests(redis.call('ZRANGEBYSCORE', DUES, '-inf', now, 'LIMIT', 0, CACHED_AT_ONCE), kept)
  if not isTooMuch(bytes) then
    return true
  end
  for _, digest in ipairs(redis.call('ZRANGE', ORDER, 0, CACHED_AT_ONCE)) do
    removeDigests({ digest }, kept)
    if not isTooMuch(bytes) then
      return true
    end
  end
  return redis.call('ZCARD', ORDER) <= 1
end
