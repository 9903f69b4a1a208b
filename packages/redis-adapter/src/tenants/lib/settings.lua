-- Settings of the tenant among its counters: one that has any is kept.
-- @include scripts/tenant
local hasSettings
do
  local SETTINGS = {
    'weight', 'paused', 'max_running', 'max_waiting', 'max_stored', 'retention_ms', 'types', 'services', 'budgets',
    'requests_per_minute', 'request_burst', 'calls_per_minute', 'tokens_per_minute',
  }

  function hasSettings()
    for _, field in ipairs(SETTINGS) do
      if meta[field] then
        return true
      end
    end
    return false
  end
end
