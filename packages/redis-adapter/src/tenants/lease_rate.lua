-- Takes a part of a tenant's allowance. Its bucket fills with each request and drains at the rate; a request is 60,000 units,
-- so that a rate of one per minute drains one unit per millisecond, and all numbers are whole.
--
-- @keys   the bucket: "level time leases", each lease as " id:granted", the newest first · the tenant's counters
-- @args   now · id of the lease · rate per minute · burst · wanted · 1 if the tenant's settings apply · leases kept
-- @return granted · what others could get · ms until one more · rate per minute · burst
-- @include scripts/time
local BUCKET, ONE = KEYS[1], 60000
local id, perMinute, burst, wanted, kept = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
if ARGV[6] == '1' then
  local own = hmget(KEYS[2], 'requests_per_minute', 'request_burst')
  if own.requests_per_minute then
    perMinute = tonumber(own.requests_per_minute)
    burst = math.max(1, math.ceil(perMinute / 6))
  end
  burst = tonumber(own.request_burst) or burst
end
local level, at, leases = (redis.call('GET', BUCKET) or '0 0'):match('^(%d+) (%d+)(.*)$')
level = math.max(0, tonumber(level) - math.max(0, now - tonumber(at)) * perMinute)
-- Of a higher burst: what is beyond this one is forgotten.
local isLowered = level > burst * ONE
level = math.min(level, burst * ONE)
local _, found = leases:find(' ' .. id .. ':', 1, true)
local granted = found and tonumber(leases:match('^%d+', found + 1))
if not granted then
  local slice = math.max(1, math.floor(perMinute / 20))
  granted = math.min(wanted, slice, math.floor((burst * ONE - level) / ONE))
  if granted > 0 then
    level = level + granted * ONE
    leases = ' ' .. id .. ':' .. granted .. leases
    local _, number = leases:gsub(' ', '')
    if number > kept then
      leases = leases:gsub(' [^ ]*$', '')
    end
  end
  -- A clock that was set back: the bucket drains from now on, not from a time that is long in coming.
  if granted > 0 or isLowered or tonumber(at) > now then
    local value = string.format('%.0f %.0f%s', level, now, leases)
    -- A minute longer than it takes to drain: the server's time may run ahead of the time that the caller names.
    redis.call('SET', BUCKET, value, 'PX', math.ceil(level / perMinute) + 60000)
  end
end
local remaining = math.floor((burst * ONE - level) / ONE)
local retryAfter = math.max(0, math.ceil((level + ONE - burst * ONE) / perMinute))
return { granted, remaining, retryAfter, perMinute, burst }
