-- What a tenant's step does to what belongs to no tenant: where both are on one server it is done in the step itself,
-- on a Cluster the adapter does it afterwards (and a reconcile over all tenants mends what it could not).
local effects = {}
local becameReady = false

-- Whether none of its tasks may be claimed for now: then it stands in no rotation, and delays nobody.
local function isHeldBack()
  return meta.paused == '1' or (meta.max_running and count('running') >= count('max_running'))
end

-- The first step that stores something makes the tenant. Who follows its log may have been there before, for a while.
local function makeTenant()
  redis.call('PERSIST', META)
  setMeta('known', 1)
  setMeta('epoch', string.format('%x', now))
  schedule('events', now + MAX_EVENT_AGE, '')
  if SYSTEM then
    redis.call('ZADD', SYSTEM .. 'tenants', 0, TENANT)
  else
    effects[#effects + 1] = { 'tenant' }
  end
end

-- A tenant of which nothing is kept stands in no list of tenants.
local function leaveSystem()
  if SYSTEM then
    redis.call('ZREM', SYSTEM .. 'tenants', TENANT)
    redis.call('ZREM', SYSTEM .. 'due', TENANT)
  else
    effects[#effects + 1] = { 'forgotten' }
  end
end

local function isThere()
  return meta.known or redis.call('EXISTS', DUE, PREFIX .. '@leases', PREFIX .. '@made', PREFIX .. '@retention') > 0
end

local function saveSystem()
  if not meta.known and hasChanged then
    makeTenant()
  end
  if becameReady and not isHeldBack() then
    -- Above that of a tenant of this id that was forgotten.
    setMeta('generation', (meta.generation and count('generation') or now * 1000) + 1)
    if SYSTEM then
      joinRotations(SYSTEM, TENANT)
    else
      effects[#effects + 1] = { 'ready', count('generation') }
    end
  end
  -- What was told before is there until its time has come.
  local indexed = count('due')
  if earliest and (indexed <= now or earliest < indexed) then
    setMeta('due', earliest)
    if SYSTEM then
      redis.call('ZADD', SYSTEM .. 'due', 'LT', earliest, TENANT)
    else
      effects[#effects + 1] = { 'due', earliest }
    end
  end
end

-- The end of every script that changes a tenant: saves everything, in its order, and hands the answer out.
local function finish(answer)
  saveEvents()
  saveTasks()
  saveSystem()
  saveMeta()
  return { answer, effects, earliest or false }
end
