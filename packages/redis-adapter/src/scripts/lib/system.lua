-- Effects of a tenant's step outside its tenant: on one server they are applied in the step itself, on a Cluster the adapter
-- applies them afterwards (and a reconcile over all tenants repairs what is missing).
-- @include events/events generated/rules queue/rotation scripts/due scripts/tenant scripts/time tasks/task
local effects = {}
local becameReady = false

-- Whether none of its tasks may be claimed for now: then it is in no rotation, and delays no other tenant.
local function isHeldBack()
  return meta.paused == '1' or (meta.max_running and count('running') >= count('max_running'))
end

-- The first step that stores something creates the tenant. A follower of its log may have stored an expiring meta before.
local function createTenant()
  redis.call('PERSIST', META)
  setMeta('known', 1)
  setMeta('epoch', string.format('%x', now))
  schedule('events', now + MAX_EVENT_AGE_MS, '')
  if SYSTEM then
    redis.call('ZADD', SYSTEM .. 'tenants', 0, TENANT)
  else
    effects[#effects + 1] = { 'tenant' }
  end
end

-- A tenant of which nothing is kept is in no list of tenants.
local function leaveSystem()
  if SYSTEM then
    redis.call('ZREM', SYSTEM .. 'tenants', TENANT)
    redis.call('ZREM', SYSTEM .. 'due', TENANT)
  else
    effects[#effects + 1] = { 'forgotten' }
  end
end

local function exists()
  return meta.known or redis.call('EXISTS', DUE, PREFIX .. '@leases', PREFIX .. '@created', PREFIX .. '@retention') > 0
end

local function saveSystem()
  if not meta.known and hasChanged then
    createTenant()
  end
  if becameReady and not isHeldBack() then
    -- Above that of a forgotten tenant of this id.
    setMeta('generation', (meta.generation and count('generation') or now * 1000) + 1)
    if SYSTEM then
      joinRotations(SYSTEM, TENANT)
    else
      effects[#effects + 1] = { 'ready', count('generation') }
    end
  end
  -- The indexed due time holds until it has passed.
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

-- The end of every script that changes a tenant: saves everything, in order, and returns the answer.
local function finish(answer)
  saveEvents()
  saveTasks()
  saveSystem()
  saveMeta()
  return { answer, effects, earliest or false }
end
