-- Who only waits for tasks to end is told of nothing else. He is a process with a channel of its own: one that waits for
-- tasks of many tenants listens once. In the tenant's counters, `awaited` has "<process> <until>" of each.
local function wakeWaiting(namespace, tenant, awaited, entry)
  for process, last in awaited:gmatch('(%S+) (%d+)') do
    if now < tonumber(last) then
      redis.call('PUBLISH', namespace .. ':wakeups:' .. process .. '@$database', tenant .. ' ' .. entry)
    end
  end
end

-- `awaited` with one process more, without those that have not said so for long.
local function nowAwaited(awaited, process, till)
  local kept = { process .. ' ' .. till }
  for other, last in (awaited or ''):gmatch('(%S+) (%d+)') do
    if other ~= process and now < tonumber(last) then
      kept[#kept + 1] = other .. ' ' .. last
    end
  end
  return table.concat(kept, ' ')
end
