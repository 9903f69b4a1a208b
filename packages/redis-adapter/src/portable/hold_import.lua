-- The process that imports: takes the place, or keeps it.
--
-- @keys   the place
-- @args   now · token of the process · ms until it is free again
-- @return whether the process has it
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[2] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
