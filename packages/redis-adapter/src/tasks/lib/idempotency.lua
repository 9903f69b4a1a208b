-- A repeated idempotency key is the same request, until the key expires.
--
-- @key:<idempotency key>  "until fingerprint kind id"
-- @include generated/rules scripts/time

-- 'replayed' and the id of the first request, or a conflict; nothing for a new key.
local function usedBefore(prefix, params, kind)
  local text = params.key and redis.call('GET', prefix .. '@key:' .. params.key)
  local till, fingerprint, kindOf, id = (text or ''):match('^(%d+) (%S+) (%S+) (.*)$')
  if not till or tonumber(till) <= now then
    return nil
  end
  if fingerprint ~= params.fingerprint or kindOf ~= kind then
    return 'idempotency_conflict'
  end
  return 'replayed', id
end

local function remember(prefix, params, what)
  if params.key then
    local text = (now + IDEMPOTENCY_MS) .. ' ' .. params.fingerprint .. ' ' .. what
    redis.call('SET', prefix .. '@key:' .. params.key, text, 'PX', IDEMPOTENCY_MS)
  end
end
