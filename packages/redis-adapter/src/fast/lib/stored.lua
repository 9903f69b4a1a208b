-- Large tasks are stored by the command before this script, in the same step: Lua would scan every byte of them. All or none
-- were stored, with a marker key, which is ARGV[2]; '' when none are.
local areStored = ARGV[2] ~= ''
if areStored and redis.call('DEL', ARGV[2]) == 0 then
  return false
end
