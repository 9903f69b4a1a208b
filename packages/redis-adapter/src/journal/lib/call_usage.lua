-- Usage of calls: counted once for each, whatever became of the call and its task.
-- @include journal/steps scripts/tenant tenants/budgets tenants/call_rates

-- `found`: see callById. `usage`: {tokens, model, …}, see addUsage; without tokens there is none.
local function countUsage(found, usage)
  local task, step, call = found.task, found.step, found.call
  if not usage.tokens or call.counted then
    return
  end
  call.counted = true
  -- Added before the call was known here.
  local isKnown = redis.call('EXISTS', NAMESPACE .. ':usage:{' .. TENANT .. '}:id:call ' .. call.id) == 1
  local of = step and step.service and step or call
  local name = of.service .. '.' .. of.operation
  if not isKnown then
    countTaskUsage(task, name, usage)
    chargeTokens(call, name, usage)
  end
  if step then
    saveStep(task, step)
  else
    redis.call('HSET', PREFIX .. task.id .. ':dropped', call.id, cjson.encode(call))
  end
end
