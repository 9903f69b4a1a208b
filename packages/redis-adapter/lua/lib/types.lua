-- The field `type` of a tenant's counters is the type of all its tasks that have not ended, or '' when they differ: so a
-- claim need not look at each.
local function onlyType(known, unended, type)
  return (unended == 0 or known == type) and type or ''
end

-- What is stored of a task and has more bytes counts in a claim: so many smaller ones come with one as may. The field `large` of
-- a tenant's counters is 1 when one of its tasks that have not ended may be such, so that a claim need not look at each.
local LARGE_RECORD = $pageBytes / 64

local function anyLarge(known, unended, bytes)
  return (bytes > LARGE_RECORD or (unended > 0 and known == '1')) and '1' or '0'
end
