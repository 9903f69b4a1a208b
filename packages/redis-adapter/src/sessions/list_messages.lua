-- The newest messages of a session, newest first, with a limit in bytes.
--
-- @keys   the session
-- @args   limit · before which (id) or '' · bytes
-- @return each as JSON; nothing for an unknown session
-- @reads
local messages, ids, max, bytes = KEYS[1] .. ':messages', KEYS[1] .. ':message_ids', tonumber(ARGV[1]), tonumber(ARGV[3])
if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
local from = ARGV[2] ~= '' and redis.call('ZRANK', ids, ARGV[2]) or redis.call('LLEN', messages)
local found = {}
for at = from - 1, 0, -1 do
  local message = #found < max and redis.call('LINDEX', messages, at)
  bytes = bytes - (message and #message or 0)
  if not message or (#found > 0 and bytes < 0) then
    break
  end
  found[#found + 1] = message:match('\n(.*)$')
end
return found
