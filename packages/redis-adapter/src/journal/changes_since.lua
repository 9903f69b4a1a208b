-- What a worker has missed.
--
-- @args   id · token · journal_rev
-- @return changes; nothing when the lease is lost
-- @reads
-- @include journal/steps
local task = leased(ARGV[2], ARGV[3])
return task and changesSince(task, tonumber(ARGV[4])) or false
