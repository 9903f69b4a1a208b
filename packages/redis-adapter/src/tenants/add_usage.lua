-- Adds to the usage ledger, once for each id and each call.
--
-- @args   {operation, usage: see addUsage, origin: {session?, agent?, user?}, call?, task?} · id
-- @include generated/rules journal/call_usage journal/calls scripts/system scripts/tenant tasks/task tenants/budgets
-- @include tenants/usage
local params = cjson.decode(ARGV[2])
local found = params.call and callById(params.call)
if found then
  countUsage(found, params.usage)
  return finish(1)
end
local id = params.call and 'call ' .. params.call or ARGV[3]
local marker = NAMESPACE .. ':usage:{' .. TENANT .. '}:id:' .. id
if not redis.call('SET', marker, 1, 'NX', 'PX', IDEMPOTENCY_MS) then
  return finish(0)
end
local task = params.task and load(params.task)
local origin = task and originOf(task) or { session = '', task = params.task or '', agent = '', user = '' }
for field, value in pairs(params.origin) do
  origin[field] = value
end
if task then
  countTaskUsage(task, params.operation, params.usage, origin)
else
  addUsage(params.operation, params.usage, origin)
end
return finish(1)
