-- Creates the staged tasks of a batch, a portion a call; see batches.
--
-- @args   batch id
-- @return whether some are left
-- @include scripts/system tasks/batches
return finish(createPortion(ARGV[2]))
