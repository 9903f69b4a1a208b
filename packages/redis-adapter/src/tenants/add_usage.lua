-- Adds to the usage ledger, once for each id.
--
-- @args   {model, operation, tokens, saved} · id
-- @return 1 if added, 0 for a repeat
-- @include generated/rules scripts/tenant tenants/usage
local params = cjson.decode(ARGV[2])
local marker = NAMESPACE .. ':usage:{' .. TENANT .. '}:id:' .. ARGV[3]
if not redis.call('SET', marker, 1, 'NX', 'PX', IDEMPOTENCY_MS) then
  return 0
end
addUsage(params.model, params.operation, params.tokens, params.saved)
return 1
