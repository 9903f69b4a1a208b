-- Fast path: scripts that do one thing to many tasks, of one tenant or of several. A call of its own costs the server more
-- than a task in it. They pass whole numbers as text: Lua writes a number in a command as a fraction, which takes longer.
--
-- KEYS    meta and events of the one tenant on a Cluster · else the system's alone
-- ARGV    the time or '' · then for each tenant: meta key, events key, number of tasks, and the arguments of each
-- answer  for each tenant: effects or nothing · first due time, or nothing · an answer for each task
-- @include events/event_log generated/rules queue/rotation scripts/time
local SYSTEM = #KEYS == 1 and KEYS[1] or nil
local format = string.format

local nowText = format('%d', now)

-- Events of one tenant, see events: those of consecutive fast tasks share an element.
local function newEventBuffer()
  return { '[' .. nowText, count = 0, ending = '' }
end

local function beginElement(emitted, shared, opening, ending)
  emitted[#emitted + 1] = emitted.ending .. ',' .. opening
  emitted.shared, emitted.ending = shared, ending
end

local function emitCreated(emitted, id, data)
  emitted.count = emitted.count + 1
  if emitted.shared == data then
    emitted[#emitted + 1] = ' '
  else
    beginElement(emitted, data, '["C",' .. data .. ',"', '"]')
  end
  emitted[#emitted + 1] = id
end

local function emitCompleted(emitted, id, version, result)
  emitted.count = emitted.count + 1
  if emitted.shared == version then
    emitted[#emitted + 1] = ',"'
  else
    beginElement(emitted, version, '["D",' .. version .. ',"', ']')
  end
  emitted[#emitted + 1] = id
  emitted[#emitted + 1] = '",'
  emitted[#emitted + 1] = result
end

-- Any event, as JSON.
local function emitEvent(emitted, event)
  emitted.count = emitted.count + 1
  beginElement(emitted, nil, event, '')
end

local function appendEvents(events, emitted, seq, followed, epoch)
  emitted[#emitted + 1] = emitted.ending .. ']'
  local entry = table.concat(emitted)
  appendEntry(events, entry, emitted.count, seq, followed, epoch)
  return entry
end

-- `effects` is false while there are none, which is the usual case.
local function withEffect(effects, effect)
  effects = effects or {}
  effects[#effects + 1] = effect
  return effects
end

-- Effects outside the tenant, see system. `due`: first due time of its tasks; `isReady`: it became claimable. Returns the
-- effects.
local function updateSystem(prefix, changes, due, indexed, isReady)
  local effects = false
  if due and (indexed <= now or due < indexed) then
    changes[#changes + 1] = 'due'
    changes[#changes + 1] = format('%d', due)
    if SYSTEM then
      redis.call('ZADD', SYSTEM .. 'due', 'LT', format('%d', due), prefix:match('{([^}]*)}'))
    else
      effects = withEffect(effects, { 'due', due })
    end
  end
  if isReady and SYSTEM then
    joinRotations(SYSTEM, prefix:match('{([^}]*)}'))
  elseif isReady then
    redis.call('HSETNX', prefix .. '@meta', 'generation', format('%d', now * 1000))
    effects = withEffect(effects, { 'ready', redis.call('HINCRBY', prefix .. '@meta', 'generation', 1) })
  end
  return effects
end

-- Registers a new tenant. Returns the effects, with its own.
local function registerTenant(prefix, changes, effects)
  for field, value in pairs({ known = '1', epoch = format('%x', now) }) do
    changes[#changes + 1] = field
    changes[#changes + 1] = value
  end
  redis.call('PERSIST', prefix .. '@meta')
  redis.call('ZADD', prefix .. '@due', now + MAX_EVENT_AGE_MS, 'events\n')
  if SYSTEM then
    redis.call('ZADD', SYSTEM .. 'tenants', 0, prefix:match('{([^}]*)}'))
    return effects
  end
  return withEffect(effects, { 'tenant' })
end

-- An error in one tenant's keys is an answer to that tenant alone.
local function isolated(work, ...)
  local ok, answer = pcall(work, ...)
  if ok then
    return answer
  end
  return type(answer) == 'table' and answer.err or tostring(answer)
end
