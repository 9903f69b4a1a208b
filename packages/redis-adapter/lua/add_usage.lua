-- Adds to the usage ledger, once for each id.
--
-- @args   {model, operation, tokens, saved} · id
-- @return 1 if added, 0 for a repeat
--@include time tenant usage
local REMEMBERED = $idempotencyMs
local params = cjson.decode(ARGV[2])
local marker = NAMESPACE .. ':usage:{' .. TENANT .. '}:id:' .. ARGV[3]
if not redis.call('SET', marker, 1, 'NX', 'PX', REMEMBERED) then
  return 0
end
addUsage(params.model, params.operation, params.tokens, params.saved)
return 1
