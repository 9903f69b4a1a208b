-- State of a task as text: JSON, or a shorter form for a fast task, which was submitted and only ran once. An ended task has
-- its result or error in a second line; '@' there, where that is large: then it is in <task>:result, so that readers of
-- states read little.
--
-- fast: "l version began expires token worker" leased, its rev is 2, or a: prefetched, not begun yet · "c version began
-- ended" completed, or f failed: 3
local LARGE_OUTCOME = 4096
-- Longer than the first line of a task can be.
local HEADER_BYTES = 4096

-- A state as stored, with an outcome that is stored apart.
local function withOutcome(task, state)
  return state:sub(-2) == '\n@' and state:sub(1, -2) .. (redis.call('GET', task .. ':result') or 'null') or state
end

-- Bytes of the outcome of a state as stored.
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
