-- Messages of its session that come with a task whose run reads them first: all of the newest, or none.
--
-- `lease`: reads (type -> whether its runs read them first), messageBytesLeft (the budget). Adds to the task's entry in the
-- answer: the messages, newest last, and whether the session has older ones.
-- @include generated/rules
local function withMessages(lease, prefix, found, session)
  local namespace, tenant = prefix:match('^(.*):tasks:({.*}:)$')
  local key = namespace .. ':session:' .. tenant .. session
  -- The sizes first: a message may be large.
  local sizes, bytes = redis.call('LRANGE', key .. ':message_bytes', -CLAIMED_MESSAGES, -1), 0
  for _, size in ipairs(sizes) do
    bytes = bytes + size
  end
  if #sizes == 0 or bytes > lease.messageBytesLeft then
    return
  end
  lease.messageBytesLeft = lease.messageBytesLeft - bytes
  local messages = redis.call('LRANGE', key .. ':messages', -CLAIMED_MESSAGES, -1)
  for at, message in ipairs(messages) do
    messages[at] = message:match('\n(.*)$')
  end
  found[3], found[4], found[5], found[6] = false, false, 0, false
  found[7], found[8] = messages, redis.call('LLEN', key .. ':messages') - #messages
end
