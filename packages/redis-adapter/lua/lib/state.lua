-- The state of a task as text: JSON, or shorter that of a plain task, which was submitted and did nothing since but run
-- once. What ended has its result or error in a second line; '@' there, where that is large: then it stands in <task>:result,
-- so that whoever looks at states reads little.
--
-- plain: "l version began expires token worker" leased, its rev is 2, or a: claimed ahead, not begun yet · "c version began ended" completed, or f failed: 3
local LARGE_OUTCOME = 4096

-- A state as it was read, with the outcome that stands apart.
local function withOutcome(task, state)
  return state:sub(-2) == '\n@' and state:sub(1, -2) .. (redis.call('GET', task .. ':result') or 'null') or state
end

-- The bytes of the outcome of a state as it was read.
local function outcomeBytes(task, state)
  if state:sub(-2) == '\n@' then
    return redis.call('STRLEN', task .. ':result')
  end
  return math.max(0, #state - #state:match('^[^\n]*') - 1)
end

local function stateOf(text)
  local line = text:match('^[^\n]*')
  local letter, version, began, at, token, worker = line:match('^([lacf]) (%d+) (%d+) (%d+) ?(%S*) ?(%S*)$')
  if not letter then
    return cjson.decode(line)
  end
  local state = { version = tonumber(version), began = tonumber(began), attempt = 1 }
  if letter == 'l' or letter == 'a' then
    state.prefetched = letter == 'a' or nil
    state.state, state.rev, state.since, state.expires = 'leased', 2, state.began, tonumber(at)
    state.token, state.worker = token, worker
  else
    state.state, state.rev, state.ended = letter == 'c' and 'completed' or 'failed', 3, tonumber(at)
  end
  return state
end
