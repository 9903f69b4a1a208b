-- Copies a portion of a dead letter's journal, for the task that is to replace it.
--
-- @args   id
-- @return whether nothing is left
-- @intake
-- @include scripts/system tasks/staging tasks/task
local old = load(ARGV[2])
return finish(not old or old.state ~= 'failed' or stagePortion(old))
