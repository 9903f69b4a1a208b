-- Epoch of the tenant's log: its creation time and its server. A server that takes over from another may have lost part of
-- the log, and has another replication id.
-- @include scripts/tenant
local function epochOfLog()
  if not meta.epoch then
    return false
  end
  local info = redis.pcall('INFO', 'replication')
  local id = type(info) == 'string' and info:match('master_replid:(%x%x%x%x%x%x%x%x)')
  return meta.epoch .. (id or '')
end
