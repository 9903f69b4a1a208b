-- A portion of an import: commands on keys of one tenant, once.
--
-- @import  "id number": the import that fills the tenant, and the last record of it that is stored
-- @keys   meta, events; all other keys of the tenant have their slot
-- @args   now · id of the import · number of the portion's last record · for each command the number of its words, and its words
-- @return whether it was carried out
-- @intake
local mark = KEYS[1]:sub(1, -6) .. '@import'
local id, last = (redis.call('GET', mark) or ''):match('^(%S+) (%d+)$')
if id == ARGV[2] and tonumber(last) >= tonumber(ARGV[3]) then
  return 0
end
local at = 4
while ARGV[at] do
  local words = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + words))
  at = at + words + 1
end
redis.call('SET', mark, ARGV[2] .. ' ' .. ARGV[3])
return 1
