-- Stages items of a batch that is not submitted yet; they expire, see batches.
--
-- @args   batch id · number of the first one · the items
-- @intake
-- @include scripts/tenant
local EXPIRES = 10 * 60 * 1000
local batch = PREFIX .. '@batch:' .. ARGV[2]
-- A late repeat, after the batch was submitted.
if redis.call('EXISTS', batch) == 1 then
  return
end
local staged, bytes = batch .. ':staged', 0
for at = 4, #ARGV do
  if redis.call('HSETNX', staged, string.format('%d', ARGV[3] + at - 4), ARGV[at]) == 1 then
    bytes = bytes + #ARGV[at]
  end
end
redis.call('HINCRBY', staged, 'bytes', bytes)
redis.call('PEXPIRE', staged, EXPIRES)
