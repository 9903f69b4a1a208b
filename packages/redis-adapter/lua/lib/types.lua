-- The field `type` of a tenant's counters is the type of all its tasks that have not ended, or '' when they differ: so a
-- claim need not look at each.
local function onlyType(known, unended, type)
  return (unended == 0 or known == type) and type or ''
end
