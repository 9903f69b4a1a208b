-- Creates the staged tasks of a batch, a portion a call; see batches.
--
-- @args   batch id
-- @return whether some are left
--@include time tenant state task event_log completions events due rotation system ready session groups steps early_reports calls task_end tenant_summary creation batches
return finish(createPortion(ARGV[2]))
