-- Completions only: each waiting process has one channel for the tasks of all tenants. In the tenant's counters, `awaited`
-- has "<process> <until>" of each.
-- @include scripts/time
local function publishCompletions(namespace, tenant, awaited, entry)
  for process, last in awaited:gmatch('(%S+) (%d+)') do
    if now < tonumber(last) then
      redis.call('PUBLISH', namespace .. ':wakeups:' .. process .. '@$database', tenant .. ' ' .. entry)
    end
  end
end

-- `awaited` with one more process, without the expired ones.
local function addAwaiting(awaited, process, till)
  local kept = { process .. ' ' .. till }
  for other, last in (awaited or ''):gmatch('(%S+) (%d+)') do
    if other ~= process and now < tonumber(last) then
      kept[#kept + 1] = other .. ' ' .. last
    end
  end
  return table.concat(kept, ' ')
end
