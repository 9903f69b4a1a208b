-- For the scripts that do one thing to many tasks, of one tenant or of several: a call of its own costs the server more
-- than a task in it. They take the texts of commands as they are, and write whole numbers as text: what a script hands to a
-- command as a number is written out as a fraction, which takes longer.
--
-- KEYS  meta and events of the one tenant on a Cluster · else the system's alone
-- ARGV  the time or '' · then for each tenant: meta key, events key, how many tasks, and what is said of each
-- They answer for each tenant: effects or nothing · when the first is due, or nothing · what came of each task.
local SYSTEM = #KEYS == 1 and KEYS[1] or nil
local MAX_EVENT_AGE = $maxEventAgeMs
local format = string.format

local nowText = format('%d', now)

-- Events of one tenant, see events: those of plain tasks that follow on each other share an element.
local function newEffects()
  return { '[' .. nowText, count = 0, ending = '' }
end

local function begin(told, like, opening, ending)
  told[#told + 1] = told.ending .. ',' .. opening
  told.like, told.ending = like, ending
end

local function emitCreated(told, id, data)
  told.count = told.count + 1
  if told.like == data then
    told[#told + 1] = ' '
  else
    begin(told, data, '["C",' .. data .. ',"', '"]')
  end
  told[#told + 1] = id
end

local function emitCompleted(told, id, version, result)
  told.count = told.count + 1
  if told.like == version then
    told[#told + 1] = ',"'
  else
    begin(told, version, '["D",' .. version .. ',"', ']')
  end
  told[#told + 1] = id
  told[#told + 1] = '",'
  told[#told + 1] = result
end

-- Any event, as its JSON.
local function tell(told, event)
  told.count = told.count + 1
  begin(told, nil, event, '')
end

local function appendEvents(events, told, seq, followed, epoch)
  told[#told + 1] = told.ending .. ']'
  local entry = table.concat(told)
  appendEntry(events, entry, told.count, seq, followed, epoch)
  return entry
end

-- `effects` is false for as long as there are none: mostly there are none.
local function withEffect(effects, effect)
  effects = effects or {}
  effects[#effects + 1] = effect
  return effects
end

-- What belongs to no tenant, see system: `due` is when the first of its tasks is, `isReady` that it became claimable.
-- Returns the effects.
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

-- A tenant that was not heard of before. Returns the effects, with its own.
local function introduce(prefix, changes, effects)
  for field, value in pairs({ known = '1', epoch = format('%x', now) }) do
    changes[#changes + 1] = field
    changes[#changes + 1] = value
  end
  redis.call('PERSIST', prefix .. '@meta')
  redis.call('ZADD', prefix .. '@due', now + MAX_EVENT_AGE, 'events\n')
  if SYSTEM then
    redis.call('ZADD', SYSTEM .. 'tenants', 0, prefix:match('{([^}]*)}'))
    return effects
  end
  return withEffect(effects, { 'tenant' })
end

-- What is wrong with one tenant's keys is an answer to that tenant alone.
local function apart(work, ...)
  local ok, answer = pcall(work, ...)
  if ok then
    return answer
  end
  return type(answer) == 'table' and answer.err or tostring(answer)
end
