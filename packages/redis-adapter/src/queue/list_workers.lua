-- Workers that are alive.
--
-- @keys   system
-- @args   now
-- @return id, entry, id, entry …
-- @reads
-- @include scripts/time
local workers, alive = redis.call('HGETALL', KEYS[1] .. 'workers'), {}
for at = 1, #workers, 2 do
  local till = tonumber(workers[at + 1]:match('"aliveUntil":(%d+)}$') or 0)
  if till > now then
    alive[#alive + 1] = workers[at]
    alive[#alive + 1] = workers[at + 1]
  end
end
return alive
