-- Creates the tasks of a batch that are staged, a portion each time; see batches.
--
-- @args   batch id
-- @return whether some are left
--@include time tenant state task trim waiting events due rotation system ready session groups steps held calls ending types creation batches
return finish(createSome(ARGV[2]))
