-- One tenant's keys, the time, and its counters: read once, written once by `finish`.
--
-- KEYS[1]  <prefix>:tasks:{<tenant>}:@meta   every other key of the tenant has its slot and is derived from it
-- KEYS[2]  <prefix>:events:{<tenant>}        the event log
-- KEYS[3]  <prefix>:system:{queue}:          shared keys; absent on a Cluster, where they have another slot
-- ARGV[1]  the time in epoch ms, or '' for that of the server
-- @include generated/rules
local META, EVENTS, SYSTEM = KEYS[1], KEYS[2], KEYS[3]
local PREFIX = META:sub(1, -6)
local NAMESPACE, TENANT = PREFIX:match('^(.*):tasks:{(.*)}:$')
local READY, LIVE, DONE, DUE = PREFIX .. '@ready', PREFIX .. '@live', PREFIX .. '@done', PREFIX .. '@due'
local WAKEUPS = NAMESPACE .. ':wakeups'

local meta, metaChanges, hasChanged = {}, {}, false
do
  local flat = redis.call('HGETALL', META)
  for at = 1, #flat, 2 do
    meta[flat[at]] = flat[at + 1]
  end
end

local function count(field)
  return tonumber(meta[field]) or 0
end

local function setMeta(field, value)
  meta[field] = value
  metaChanges[field] = value
  hasChanged = true
end

local function addMeta(field, n)
  setMeta(field, count(field) + n)
end

-- `stored`: bytes kept of its tasks, with their results and errors, the outcomes of their steps and unread signals, and of
-- its sessions, their contexts and messages. A script that stores or removes any of that counts it in the same step.

local function addStored(bytes)
  setMeta('stored', math.max(0, count('stored') + bytes))
end

-- A request admitted while there is room may exceed the limit. Outcomes are always stored.
local function holdsTooMuch()
  return count('stored') >= (tonumber(meta.max_stored) or MAX_STORED_BYTES)
end

local function saveMeta()
  local flat = {}
  for field, value in pairs(metaChanges) do
    flat[#flat + 1] = field
    flat[#flat + 1] = value
  end
  if #flat > 0 then
    redis.call('HSET', META, unpack(flat))
  end
end
