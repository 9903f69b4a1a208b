-- What is left of the tenant's budgets.
--
-- @meta  budgets  JSON list of {period, tokens?, cost?}
-- @include scripts/tenant scripts/time tenants/usage
-- Days since 1970-01-01 of the first of the month that a day is in, and of the next month (H. Hinnant, days_from_civil).
local exhaustedUntil
do
  local function firstOf(year, month)
    local y = month <= 2 and year - 1 or year
    local era = math.floor(y / 400)
    local ofEra = y - era * 400
    local ofYear = math.floor((153 * (month + (month > 2 and -3 or 9)) + 2) / 5)
    return era * 146097 + ofEra * 365 + math.floor(ofEra / 4) - math.floor(ofEra / 100) + ofYear - 719468
  end

  local function monthOf(day)
    local z = day + 719468
    local era = math.floor(z / 146097)
    local ofEra = z - era * 146097
    local yearOfEra =
      math.floor((ofEra - math.floor(ofEra / 1460) + math.floor(ofEra / 36524) - math.floor(ofEra / 146096)) / 365)
    local ofYear = ofEra - (365 * yearOfEra + math.floor(yearOfEra / 4) - math.floor(yearOfEra / 100))
    local shifted = math.floor((5 * ofYear + 2) / 153)
    local month = shifted + (shifted < 10 and 3 or -9)
    local year = yearOfEra + era * 400 + (month <= 2 and 1 or 0)
    return firstOf(year, month), month == 12 and firstOf(year + 1, 1) or firstOf(year, month + 1)
  end

  -- By first day: nothing is used in a step that asks.
  local used = {}

  local function usedBetween(first, last)
    if not used[first] then
      local tokens, cost = 0, 0
      for day = first, last do
        local ofDay, costOfDay = sumsOf(usageKey(day))
        tokens, cost = tokens + ofDay, cost + costOfDay
      end
      used[first] = { tokens, cost }
    end
    return used[first][1], used[first][2]
  end

  -- Start of the next period of the budgets if one of them has not enough left: `asked` tokens, or anything at all.
  function exhaustedUntil(asked)
    if not meta.budgets then
      return nil
    end
    local today, till = math.floor(now / DAY), nil
    for _, budget in ipairs(cjson.decode(meta.budgets)) do
      local first, next = today, today + 1
      if budget.period == 'month' then
        first, next = monthOf(today)
      end
      local tokens, cost = usedBetween(first, today)
      local left = (budget.tokens or math.huge) - tokens - count('reserved')
      if left <= 0 or left < (asked or 0) or (budget.cost or math.huge) - cost <= 0 then
        till = math.max(till or 0, next * DAY)
      end
    end
    return till
  end
end
