-- Rates of the tenant's calls and tokens: buckets that fill with each use, and drain at the rate. One use is 60,000 units, so
-- that a rate of one per minute drains one unit per millisecond.
--
-- @meta   calls_per_minute, tokens_per_minute  JSON of rates by name of a service or model; '*' is for all others
-- @rates  "calls <name>", "tokens <name>" -> "level at perMinute" · "last <service>.<operation>" -> "tokens model" of its last usage
-- @include scripts/tenant scripts/time tenants/usage
local takeCall, chargeTokens, returnTokens
do
  local RATES = PREFIX .. '@rates'
  local ONE_USE = 60000
  -- Usages of operations are remembered for so long; buckets until they have drained.
  local RATES_KEPT_MS, MAX_KEPT_MS = 60 * 60 * 1000, 400 * 24 * 60 * 60 * 1000
  -- Longest wait that is told: a service may report any number of tokens.
  local MAX_WAIT_MS = 24 * 60 * 60 * 1000
  local MAX_REMEMBERED = 1000

  local function rateOf(field, kind, name)
    local rates = meta[field] and cjson.decode(meta[field])
    local key = rates and (rates[name] and name or rates['*'] and '*')
    if key then
      return { key = kind .. ' ' .. key, perMinute = rates[key], burst = math.max(1, math.ceil(rates[key] / 6)) }
    end
  end

  local function write(rate, level)
    redis.call('HSET', RATES, rate.key, exact(level) .. ' ' .. now .. ' ' .. rate.perMinute)
    -- Until it has drained.
    local kept = math.min(MAX_KEPT_MS, math.max(RATES_KEPT_MS, math.ceil(level / rate.perMinute)))
    if redis.call('PTTL', RATES) < kept then
      redis.call('PEXPIRE', RATES, kept)
    end
  end

  -- Of a rate that has changed, what is beyond the burst is forgotten; a time to come, after the clock was set back, becomes
  -- now: nothing would drain until then.
  local function levelOf(rate)
    local text = redis.call('HGET', RATES, rate.key)
    if not text then
      return 0
    end
    local level, at, perMinute = text:match('^(%S+) (%S+) (%S+)$')
    level = math.max(0, tonumber(level) - math.max(0, now - tonumber(at)) * rate.perMinute)
    local hasChanged = tonumber(perMinute) ~= rate.perMinute
    if hasChanged then
      level = math.min(level, rate.burst * ONE_USE)
    end
    if hasChanged or tonumber(at) > now then
      write(rate, level)
    end
    return level
  end

  -- ms until there is room. More than the burst waits for an empty bucket.
  local function waitOf(rate, uses)
    local need = math.min(uses, rate.burst)
    local wait = math.ceil((levelOf(rate) + (need - rate.burst) * ONE_USE) / rate.perMinute)
    return math.min(MAX_WAIT_MS, math.max(0, wait))
  end

  local function fill(rate, uses)
    write(rate, math.max(0, levelOf(rate) + uses * ONE_USE))
  end

  -- Takes a call, and the tokens that it may use, from the allowances. Returns ms until there is room for it (nothing is taken
  -- where that is more than `most`), and {model, tokens} that were taken.
  function takeCall(service, operation, most)
    if not meta.calls_per_minute and not meta.tokens_per_minute then
      return 0
    end
    local calls, tokens, taken = rateOf('calls_per_minute', 'calls', service), nil, nil
    local last = meta.tokens_per_minute and redis.call('HGET', RATES, 'last ' .. service .. '.' .. operation)
    if last then
      local number, model = last:match('^(%S+) (.*)$')
      tokens, taken = rateOf('tokens_per_minute', 'tokens', model), { model = model, tokens = number }
    end
    local wait = math.max(calls and waitOf(calls, 1) or 0, tokens and waitOf(tokens, tonumber(taken.tokens)) or 0)
    if wait > most then
      return wait
    end
    if calls then
      fill(calls, 1)
    end
    if tokens then
      fill(tokens, tonumber(taken.tokens))
    end
    return wait, tokens and taken or nil
  end

  -- A call has ended: what it has taken in advance goes back.
  function returnTokens(call)
    local before = call.taken and rateOf('tokens_per_minute', 'tokens', call.taken.model)
    if before then
      fill(before, -tonumber(call.taken.tokens))
    end
    call.taken = nil
  end

  -- What a call has used replaces what it has taken in advance.
  function chargeTokens(call, name, usage)
    if not meta.tokens_per_minute then
      return
    end
    local field = 'last ' .. name
    if usage.tokens > 0 and (redis.call('HEXISTS', RATES, field) == 1 or redis.call('HLEN', RATES) < MAX_REMEMBERED) then
      redis.call('HSET', RATES, field, exact(usage.tokens) .. ' ' .. usage.model)
      if redis.call('PTTL', RATES) < RATES_KEPT_MS then
        redis.call('PEXPIRE', RATES, RATES_KEPT_MS)
      end
    end
    local rate = rateOf('tokens_per_minute', 'tokens', usage.model)
    if rate then
      fill(rate, usage.tokens)
    end
    returnTokens(call)
  end
end
