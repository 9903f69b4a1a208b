-- Appends entries to a tenant's event log (see events for their format), for all scripts that do.
--
-- The log keeps its newest events, with limits in number and in bytes. A check of the limits costs as much as an append, so
-- it is done now and then.
--
-- …:bytes  of all entries so far, also of removed ones
-- …:stretches  "seq bytes": the first entry of each stretch of the log, and the bytes appended before it
-- @include generated/rules scripts/time
local TRIM_EVERY = 100
local STRETCH = math.max(1, math.floor(MAX_EVENT_BYTES / 16))

-- The entry just appended begins a new stretch: stretches are removed from the front while the log is too large. The newest
-- entry stays.
local function beginStretch(events, seq, total, bytes)
  local stretches = events .. ':stretches'
  local left = redis.call('RPUSH', stretches, string.format('%d %d', seq, total - bytes))
  local first, from = redis.call('LINDEX', stretches, 0), nil
  while left > 1 and total - first:match(' (%d+)') > MAX_EVENT_BYTES - STRETCH do
    redis.call('LPOP', stretches)
    left, first = left - 1, redis.call('LINDEX', stretches, 0)
    from = first:match('^%d+')
  end
  if from then
    redis.call('XTRIM', events, 'MINID', from)
  end
end

-- An entry as published. `epoch` is that of the log: a follower of an earlier log drops the entry.
local function published(seq, epoch, entry)
  return string.format('%d', seq) .. ' ' .. (epoch or '-') .. ' ' .. entry
end

-- Appends an entry of `appended` events, the last of which is `seq`, and publishes it while the log is followed (until
-- `followed`).
local function appendEntry(events, entry, appended, seq, followed, epoch)
  redis.call('XADD', events, string.format('%d-0', seq), 'e', entry)
  if seq % TRIM_EVERY < appended and seq > MAX_EVENTS then
    redis.call('XTRIM', events, 'MINID', '~', string.format('%d', seq - MAX_EVENTS))
  end
  local total = redis.call('INCRBY', events .. ':bytes', #entry)
  if total % STRETCH < #entry or total == #entry then
    beginStretch(events, seq, total, #entry)
  end
  if now < (tonumber(followed) or 0) then
    redis.call('PUBLISH', events .. '@$database', published(seq, epoch, entry))
  end
end
