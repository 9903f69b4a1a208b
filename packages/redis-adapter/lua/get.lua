-- A task at exactly a position of the log.
--
-- @args   task id
-- @return the task, seq
--@reads
--@include time tenant epoch state task
return { view(ARGV[2]), count('seq'), epochOfLog() }
