-- Summaries of a tenant's unended tasks, in its counters, so that a claim need not read each task. `type`: the type of all
-- of them, or '' when they differ.
-- @include generated/rules
local function onlyType(known, unended, type)
  return (unended == 0 or known == type) and type or ''
end

-- Records with more bytes count in a claim's budget; smaller ones do not. `large`: 1 when one of the unended tasks may be
-- larger.
local LARGE_RECORD = PAGE_BYTES / 64

local function anyLarge(known, unended, bytes)
  return (bytes > LARGE_RECORD or (unended > 0 and known == '1')) and '1' or '0'
end
