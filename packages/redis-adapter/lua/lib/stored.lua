-- Of much text each task was stored by the command before this script, in the same step: Lua would look at every byte of it.
-- They were stored all or none, with a mark, which is ARGV[2]; '' when none are.
local areStored = ARGV[2] ~= ''
if areStored and redis.call('DEL', ARGV[2]) == 0 then
  return false
end
