-- Events of this step: one log entry a step of the storage, whose id is the `seq` of its last event. An entry is the JSON
-- [at, [letter, task id, rev, session id, data, more?]…]. Events of fast tasks (see state) without a session are shorter,
-- several in one: ["C", data, "id id…"] created, ["S", "id id…"] started, ["D", version, id, result, id, result…] completed.
-- @include events/completions events/event_log generated/rules scripts/tenant scripts/time tasks/state
local emitted = {}
local hasEnded = false

local function append(event)
  addMeta('seq', 1)
  emitted[#emitted + 1] = event
end

local function quoted(text)
  return text and '"' .. text .. '"' or 'null'
end

-- `data` and `more` are JSON. A large result is stored with its task, and the event refers to it.
local function emit(task, letter, data, more)
  task.rev = task.rev + 1
  task.updated = now
  hasEnded = hasEnded or isFinalEvent(letter)
  if letter == TASK_COMPLETED and #data > LARGE_OUTCOME then
    data, more = 'null', '1'
  end
  append('["' .. letter .. '","' .. task.id .. '",' .. task.rev .. ',' .. quoted(task.header.session_id) .. ',' .. data
    .. (more and ',' .. more or '') .. ']')
end

local function saveEvents()
  if #emitted == 0 then
    return
  end
  local seq = count('seq')
  local entry = '[' .. now .. ',' .. table.concat(emitted, ',') .. ']'
  appendEntry(EVENTS, entry, #emitted, seq, meta.followed, meta.epoch)
  if hasEnded and meta.awaited then
    publishCompletions(NAMESPACE, TENANT, meta.awaited, published(seq, meta.epoch, entry))
  end
end
