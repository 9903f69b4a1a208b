-- A page of the tasks, newest first, with limits on the tasks scanned and on their bytes.
--
-- @args   {before?: sequence, limit, scans, bytes, status?, type?, session?, error? (the beginning of an error as JSON, up to
--         its code), since?, prefix? (of the id)}
-- @return tasks · the sequence before which the next page begins, if any · number of tasks scanned · whether a matching task
--         is past the limit
-- @reads
-- @include generated/rules scripts/tenant tasks/state tasks/task
local CHUNKS_A_LOOK = 50
local params = cjson.decode(ARGV[2])
local CREATED = PREFIX .. '@created'
local found, scans, bytes, last = {}, 0, 0, params.before

-- Whether the error of an ended task begins in this way.
local function hasError(id, state)
  if state:sub(-2) == '\n@' then
    return redis.call('GETRANGE', PREFIX .. id .. ':result', 0, #params.error - 1) == params.error
  end
  local from = state:find('\n', 1, true)
  return from and state:sub(from + 1, from + #params.error) == params.error
end

local function stateFits(id, header)
  local text = redis.call('HGET', LIVE, id) or redis.call('HGET', DONE, id)
  local state = text and stateOf(text) or { state = 'ready' }
  if params.status and STATUS[state.state] ~= params.status then
    return false
  end
  if params.since and (state.ended or state.updated or state.since or header.at) < params.since then
    return false
  end
  return not params.error or (state.state == 'failed' or state.state == 'cancelled') and hasError(id, text)
end

-- Whether a task matches; reads only what that takes.
local function fits(id)
  if params.prefix and id:sub(1, #params.prefix) ~= params.prefix then
    return false
  end
  local header
  if params.type or params.session or params.since then
    local line = redis.call('GETRANGE', PREFIX .. id, 0, HEADER_BYTES - 1):match('^[^\n]*')
    header = line ~= '' and cjson.decode(line)
    if not header or (params.type and header.type ~= params.type) or (params.session and header.session_id ~= params.session) then
      return false
    end
  elseif redis.call('EXISTS', PREFIX .. id) == 0 then
    return false
  end
  return not (params.status or params.since or params.error) or stateFits(id, header)
end

local function sizeOf(task)
  local size = #task[2] + #task[3]
  for _, step in ipairs(task[4]) do
    size = size + #step
  end
  return size
end

-- Scans one task. Returns the reason if the page ends before it.
local function scan(id, sequence)
  if scans == params.scans then
    return 'scans'
  end
  scans = scans + 1
  if fits(id) then
    if #found == params.limit then
      return 'full'
    end
    local task = view(id)
    if tonumber(task[2]:match('^{"at":%d+,"sequence":(%d+)')) ~= sequence then
      -- A reused id: the task is listed at its last creation.
      last = sequence
      return
    end
    bytes = bytes + sizeOf(task)
    if #found > 0 and bytes > params.bytes then
      return 'bytes'
    end
    found[#found + 1] = task
  end
  last = sequence
end

-- Number of chunks of @created that begin before a sequence, by binary search.
local function chunksBefore(sequence)
  local low, high = 0, redis.call('LLEN', CREATED)
  while sequence and low < high do
    local middle = math.floor((low + high) / 2)
    if tonumber(redis.call('LINDEX', CREATED, middle):match('^%d+')) < sequence then
      low = middle + 1
    else
      high = middle
    end
  end
  return high
end

local function scanChunk(chunk)
  local sequence, ids = chunk:match('^(%d+) %d+ (.*)$')
  local inChunk = {}
  for id in ids:gmatch('%S+') do
    inChunk[#inChunk + 1] = id
  end
  for at = #inChunk, 1, -1 do
    local own = sequence + at - 1
    local over = (not params.before or own < params.before) and scan(inChunk[at], own)
    if over then
      return over
    end
  end
end

local function scanCreated()
  local to = chunksBefore(params.before) - 1
  while to >= 0 do
    local chunks = redis.call('LRANGE', CREATED, math.max(0, to - CHUNKS_A_LOOK + 1), to)
    for at = #chunks, 1, -1 do
      local over = scanChunk(chunks[at])
      if over then
        return over
      end
    end
    to = to - CHUNKS_A_LOOK
  end
end

-- Tasks kept longer than their chunk of @created, by sequence.
local function scanOld()
  local before = params.before and '(' .. string.format('%d', params.before) or '+inf'
  local old = redis.call('ZREVRANGEBYSCORE', PREFIX .. '@old', before, '-inf', 'WITHSCORES', 'LIMIT', 0, params.scans - scans + 1)
  for at = 1, #old, 2 do
    local over = scan(old[at], tonumber(old[at + 1]))
    if over then
      return over
    end
  end
end

local over = scanCreated() or scanOld()
return { found, over and last and string.format('%d', last) or false, scans, over == 'full' }
