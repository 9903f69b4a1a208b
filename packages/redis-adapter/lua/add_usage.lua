-- Adds to the ledger, once for each id.
--
-- @args   {model, operation, tokens, saved} · id
--@include time tenant state task trim waiting events due rotation system usage
local REMEMBERED = 30 * DAY
local params = cjson.decode(ARGV[2])
local marker = NAMESPACE .. ':usage:{' .. TENANT .. '}:id:' .. ARGV[3]
if redis.call('SET', marker, 1, 'NX', 'PX', REMEMBERED) then
  addUsage(params.model, params.operation, params.tokens, params.saved)
  return finish('added')
end
return finish('known')
