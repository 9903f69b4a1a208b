-- How long ago a type was announced.
--
-- @keys   system
-- @args   now · type
--@reads
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local at = redis.call('HGET', KEYS[1] .. 'announced', ARGV[2])
return at and now - at or false
